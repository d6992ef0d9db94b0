"""Runs suites on a frame: verdicts, some rows that fail, Data Docs. Personal data is never shown."""

import logging
import shutil
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.card_numbers import mask_long_numbers
from expectations.engine import great_expectations

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations.expectation import Expectation

SAMPLES = 5
"""How many of the rows that fail an expectation are named."""


@dataclass(frozen=True)
class Failure:
    """An expectation that did not hold.

    Attributes:
        expectation: what was expected, as Great Expectations calls it.
        column: of which column; empty where it is of the table.
        observed: what was found instead, in a few words.
        rows: some of the rows: the identity and, where it may be shown, the value.
    """

    expectation: str
    column: str
    observed: str
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Validation:
    """What a suite came to for a table: how many expectations it has, and which did not hold."""

    table: str
    suite: str
    expectations: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Subject:
    """What is validated: rows of one table.

    Attributes:
        table: its name.
        frame: the rows.
        suites: expectations per suite, by its name.
        key: the column whose values name the rows that fail.
        shown: columns whose values may be shown.
    """

    table: str
    frame: "pd.DataFrame"
    suites: "Mapping[str, Sequence[Expectation]]"
    key: str
    shown: Collection[str]


def validate(subjects: Sequence[Subject], docs: Path) -> list[Validation]:
    """Runs the suites of each subject, and writes the Data Docs of all of them.

    Args:
        subjects: what is validated.
        docs: folder of the Data Docs; the newest run of each suite replaces the one before.

    Returns:
        One validation per subject and suite, in order.
    """
    gx = great_expectations()
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        _set_docs(context, docs)
        source = context.data_sources.add_pandas("lake")
        found = [validation for subject in subjects for validation in _validate(context, source, subject)]
        context.build_data_docs()
    return found


def _validate(context: Any, source: Any, subject: Subject) -> "Iterator[Validation]":
    gx = great_expectations()
    batch = source.add_dataframe_asset(subject.table).add_batch_definition_whole_dataframe("stretch")
    for name, expectations in subject.suites.items():
        suite = gx.ExpectationSuite(name=f"{subject.table}.{name}", expectations=list(expectations))
        definition = gx.ValidationDefinition(name=suite.name, data=batch, suite=context.suites.add(suite))
        result = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": subject.frame}, result_format=_identities_of(subject.key)
        )
        yield Validation(
            table=subject.table,
            suite=name,
            expectations=len(result.results),
            failures=tuple(_failure(one, subject.frame, subject.shown) for one in result.results if not one.success),
        )


def _identities_of(key: str) -> dict[str, Any]:
    """Results name rows by their key and show no value, for some columns hold personal data."""
    return {
        "result_format": "COMPLETE",
        "exclude_unexpected_values": True,
        "unexpected_index_column_names": [key],
        "return_unexpected_index_query": False,
    }


def _set_docs(context: Any, docs: Path) -> None:
    for site in context.get_site_names():
        context.delete_data_docs_site(site)
    docs.mkdir(parents=True, exist_ok=True)
    for earlier in docs.glob("validations"):
        shutil.rmtree(earlier)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    site = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
    context.add_data_docs_site("lake", {**site, "show_how_to_buttons": False})


def _failure(result: Any, frame: "pd.DataFrame", shown: Collection[str]) -> Failure:
    config, found = result.expectation_config, result.result
    column = config.kwargs.get("column", "")
    return Failure(
        expectation=config.type.removeprefix("expect_"),
        column=column,
        observed=_observed(found, result.exception_info),
        rows=_rows(found, column, frame, shown),
    )


def _observed(found: Mapping[str, Any], exception: Mapping[str, Any]) -> str:
    if "unexpected_count" in found:
        return f"{found['unexpected_count']:,} of {found['element_count']:,} rows"
    if found.get("observed_value") is not None:
        value = found["observed_value"]
        return f"{value:,.4g}" if isinstance(value, float) else str(value)
    return "a value that is new" if "details" in found else f"no result: {_first_line(exception)}"


def _rows(found: Mapping[str, Any], column: str, frame: "pd.DataFrame", shown: Collection[str]) -> tuple[str, ...]:
    """Each entry of the list maps the key to one identity, or to a list of them."""
    entries = found.get("partial_unexpected_index_list") or ()
    named = [(key, name) for entry in entries for key, names in entry.items() for name in np.atleast_1d(names)]
    texts = []
    for key, name in named[:SAMPLES]:
        value = f": {frame.loc[frame[key] == name, column].iloc[0]}" if column in shown else ""
        texts.append(mask_long_numbers(f"{name}{value}"))
    return tuple(texts)


def _first_line(exception: Mapping[str, Any]) -> str:
    # One failed metric gives one message; some failures come as a mapping of them.
    details = exception if "exception_message" in exception else next(iter(exception.values()), {})
    return str(details.get("exception_message") or "unknown").splitlines()[0]

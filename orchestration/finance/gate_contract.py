"""The contract's part of the gate: a business day's tables under Great Expectations."""

from collections.abc import Mapping
from datetime import date

import pandas as pd
import pyarrow as pa

from expectations.catalog import Lake
from expectations.finance import BANK_TABLES, DAY_TABLES, PLATFORM_PAYMENTS
from expectations.schema import PiiClass, TableSchema
from expectations.suites import contract_expectations
from expectations.validation import Subject, validate
from orchestration.finance.gate import RESULT_SATISFIES, STAGING_SATISFIES
from orchestration.outcomes import CheckDeclaration, Outcome


def check_staging(tables: Mapping[str, pa.Table], day: date, lake: Lake) -> Outcome:
    """Both sides' frozen tables satisfy their contract, and are of the day."""
    outcome = _check(STAGING_SATISFIES, (PLATFORM_PAYMENTS, *BANK_TABLES), tables, lake)
    strangers = [
        f"{name}.{column}"
        for name, column in ((PLATFORM_PAYMENTS.name, "business_date"),)
        if set(tables[name].column(column).unique().to_pylist()) - {day}
    ]
    if strangers:
        return STAGING_SATISFIES.outcome(False, f"{outcome.summary}; rows of another day: {', '.join(strangers)}")
    return outcome


def check_result(tables: Mapping[str, pa.Table], day: date, lake: Lake) -> Outcome:
    """The tables that would be published satisfy their contract."""
    return _check(RESULT_SATISFIES, DAY_TABLES, tables, lake)


def _check(
    check: CheckDeclaration, schemas: tuple[TableSchema, ...], tables: Mapping[str, pa.Table], lake: Lake
) -> Outcome:
    subjects = [_subject(tables[schema.name], schema) for schema in schemas]
    # Each check has Data Docs of its own, so that one does not replace the other's.
    found = validate(subjects, lake.finance / "data_docs" / check.check)
    culprits = {
        f"{validation.table}.{failure.column or 'table'} {failure.expectation}": failure.observed
        for validation in found
        for failure in validation.failures
    }
    expectations = sum(validation.expectations for validation in found)
    named = f"; not: {', '.join(culprits)}" if culprits else ""
    return check.outcome(
        not culprits,
        f"{expectations - len(culprits)} of {expectations} expectations hold for {len(schemas)} tables{named}",
        data_docs=str(lake.finance / "data_docs" / check.check / "index.html"),
        **culprits,
    )


def _subject(table: pa.Table, schema: TableSchema) -> Subject:
    return Subject(
        schema.name,
        table.to_pandas(types_mapper=pd.ArrowDtype),
        {"contract": contract_expectations(schema)},
        schema.key[0],
        frozenset(field.name for field in schema.fields if field.pii is PiiClass.NONE),
    )

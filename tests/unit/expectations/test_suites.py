"""Suites made from the contract: what they let pass, what they catch, and that they show nobody's data."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from expectations.schema import DataType, Field, PiiClass, TableSchema
from expectations.suites import KNOWN, Numbers, Profile, contract_expectations, drift_expectations
from expectations.thresholds import QualityThresholds
from expectations.validation import Subject, Validation, validate

ROWS = 200

VISITS = TableSchema(
    name="visits",
    description="Visits to a shop.",
    grain="one visit",
    fields=(
        Field("visit_id", DataType.STRING, "Identifier.", nullable=False),
        Field("kind", DataType.STRING, "Kind.", allowed=("short", "long")),
        Field("score", DataType.FLOAT64, "Score.", minimum=0, maximum=1),
        Field("lat", DataType.FLOAT64, "Latitude.", pii=PiiClass.PERSONAL, minimum=-90, maximum=90),
        Field("begun_at", DataType.INSTANT, "Beginning.", nullable=False),
        Field("parent_id", DataType.STRING, "An earlier visit."),
    ),
    key=("visit_id",),
)


def frame(**changed: list) -> pd.DataFrame:
    """Good visits, with some columns changed."""
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    columns = {
        "visit_id": [f"V{n}" for n in range(ROWS)],
        "kind": ["short", "long", "short", None] * (ROWS // 4),
        "score": [n / ROWS for n in range(ROWS)],
        "lat": [40.0] * ROWS,
        "begun_at": [begin + timedelta(minutes=n) for n in range(ROWS)],
        "parent_id": [None, "V0"] * (ROWS // 2),
        f"parent_id{KNOWN}": [None, True] * (ROWS // 2),
    }
    known = pa.field(f"parent_id{KNOWN}", pa.bool_())
    schema = pa.schema([*(column.with_nullable(True) for column in VISITS.arrow()), known])
    return pa.table({**columns, **changed}).cast(schema).to_pandas(types_mapper=pd.ArrowDtype)


def under_contract(visits: pd.DataFrame, docs: Path) -> Validation:
    suites = {"contract": contract_expectations(VISITS, ["parent_id"])}
    (found,) = validate([Subject(VISITS.name, visits, suites, "visit_id", {"kind", "score"})], docs)
    return found


def test_good_rows_satisfy_the_contract(tmp_path: Path):
    found = under_contract(frame(), tmp_path)
    assert found.failures == () and found.expectations == 7


@pytest.mark.parametrize(
    ("column", "values", "row"),
    [
        ("begun_at", [None] + [datetime(2026, 3, 1, tzinfo=UTC)] * (ROWS - 1), "V0"),
        ("kind", ["odd"] + ["short"] * (ROWS - 1), "V0: odd"),
        ("score", [0.5] * (ROWS - 1) + [1.5], f"V{ROWS - 1}: 1.5"),
        ("lat", [91.0] + [40.0] * (ROWS - 1), "V0"),
    ],
)
def test_a_bad_value_is_found_and_shown_only_where_it_is_nobodys(tmp_path, column, values, row):
    (failure,) = under_contract(frame(**{column: values}), tmp_path).failures
    assert (failure.column, failure.observed, failure.rows) == (column, f"1 of {ROWS} rows", (row,))


def test_a_repeated_key_is_found(tmp_path: Path):
    (failure,) = under_contract(frame(visit_id=["V1", *[f"V{n}" for n in range(1, ROWS)]]), tmp_path).failures
    assert failure.expectation == "column_values_to_be_unique" and failure.observed == f"2 of {ROWS} rows"


def test_references_may_be_unknown_now_and_then_but_not_often(tmp_path: Path):
    rarely, often = ([None] * (ROWS - 100) + [True] * (100 - few) + [False] * few for few in (4, 6))
    assert under_contract(frame(**{f"parent_id{KNOWN}": rarely}), tmp_path).failures == ()
    (failure,) = under_contract(frame(**{f"parent_id{KNOWN}": often}), tmp_path).failures
    assert failure.column == f"parent_id{KNOWN}"


def test_a_card_number_in_a_bad_value_is_masked(tmp_path: Path):
    (failure,) = under_contract(frame(kind=["4111111111111111"] + ["short"] * (ROWS - 1)), tmp_path).failures
    assert failure.rows == ("V0: <16 digits>",)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*.html"))
    assert b"4111111111111111" not in written and b"begun_at" in written


def test_personal_values_stay_out_of_the_docs(tmp_path: Path):
    under_contract(frame(lat=[91.2345] + [40.0] * (ROWS - 1)), tmp_path)
    assert b"91.2345" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*.html"))


LIKE_BEFORE = Profile(
    rows_lowest=180,
    rows_highest=220,
    null_shares={"kind": 0.25, "parent_id": 0.5},
    shares={"kind": {"short": 2 / 3, "long": 1 / 3}},
    numbers={"score": Numbers(mean=0.5, deviation=0.29)},
)


def against_week(visits: pd.DataFrame, docs: Path, sampled_share: float = 1.0) -> list[str]:
    suites = {"drift": drift_expectations(LIKE_BEFORE, sampled_share, QualityThresholds())}
    (found,) = validate([Subject(VISITS.name, visits, suites, "visit_id", ())], docs)
    return [f"{failure.column} {failure.expectation}".strip() for failure in found.failures]


def test_a_day_like_those_before_has_not_drifted(tmp_path: Path):
    assert against_week(frame(), tmp_path) == []


def test_half_a_sample_of_a_day_twice_as_large_is_no_drift_either(tmp_path: Path):
    assert against_week(frame().sample(frac=0.5, random_state=3), tmp_path, sampled_share=0.5) == []


def test_every_kind_of_drift_is_found(tmp_path: Path):
    assert against_week(frame()[:80], tmp_path) == ["table_row_count_to_be_between", "score column_mean_to_be_between"]
    # A column that is always filled moves its share of nulls, and here its categories too.
    assert against_week(frame(kind=["long"] * ROWS), tmp_path) == [
        "kind column_proportion_of_non_null_values_to_be_between",
        "kind column_kl_divergence_to_be_less_than",
    ]
    assert against_week(frame(kind=["new", "long", "short", None] * (ROWS // 4)), tmp_path) == [
        "kind column_kl_divergence_to_be_less_than"
    ]


def test_a_rare_new_value_is_no_drift(tmp_path: Path):
    kinds = [*(["short", "long", "short", None] * (ROWS // 4))[:-1], "new"]
    assert against_week(frame(kind=kinds), tmp_path) == []


def test_the_engine_can_be_imported_where_the_main_module_is_no_file():
    """As in the processes in which Dagster executes steps."""
    code = "from expectations.engine import great_expectations; print(great_expectations().__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "great_expectations", done.stderr

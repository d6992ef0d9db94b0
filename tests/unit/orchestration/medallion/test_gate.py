"""The gate: what is well passes, and each kind of fault is found by the check that is there for it."""

import contextlib
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.catalog import Lake
from orchestration.medallion import gate
from orchestration.outcomes import Outcome
from tests.support.card_data import VISA
from tests.support.warehouse import START, add_rows, change, copied

ROWS, MORE = 300, 400
_SILVER = "silver.payments_enriched_silver"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A warehouse with two increments, of which the first is published."""
    lake = Lake(tmp_path_factory.mktemp("sound"))
    add_rows(lake, ROWS)
    add_rows(lake, MORE)
    return lake


@pytest.fixture
def lake(tmp_path: Path, sound: Lake) -> Lake:
    """The same, to be changed."""
    return copied(sound, tmp_path)


def audit(lake: Lake, published: gate.Position | None = None) -> dict[str, Outcome]:
    published = published or gate.Position(bronze_rows=ROWS)
    with contextlib.closing(duckdb.connect(str(lake.warehouse), read_only=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        outcomes = gate.audit(connection, gate.read_gold(connection), published)
    return {outcome.check: outcome for outcome in outcomes}


def failed(outcomes: dict[str, Outcome]) -> set[str]:
    return {check for check, outcome in outcomes.items() if not outcome.passed}


def test_a_sound_warehouse_passes_every_check(lake):
    outcomes = audit(lake)
    assert [outcome for outcome in outcomes.values() if not outcome.passed] == []
    assert [*outcomes] == [check.check for check in gate.CHECKS]
    assert outcomes["rows_and_money_conserved"].figures["bronze_rows"] == MORE


def test_every_check_is_blocking_and_belongs_to_a_published_asset():
    assert {check.asset for check in gate.CHECKS} == {"published_silver", "published_gold"}
    assert all(check.is_blocking for check in gate.CHECKS)


@pytest.mark.parametrize(
    ("check", "statement"),
    [
        ("rows_and_money_conserved", "UPDATE silver.increments SET bronze_rows = bronze_rows + 1 WHERE upto_row = 300"),
        (
            "rows_and_money_conserved",
            "UPDATE silver.increments SET silver_minor = silver_minor + 1, bronze_minor = bronze_minor + 1 "
            "WHERE upto_row = 400 AND currency = 'EUR'",
        ),
        ("rows_and_money_conserved", f"DELETE FROM {_SILVER} WHERE _row_number = 10"),
        ("rows_and_money_conserved", f"UPDATE {_SILVER} SET amount_minor = amount_minor + 1 WHERE _row_number = 310"),
        ("rows_and_money_conserved", f"UPDATE {_SILVER} SET currency = 'USD' WHERE _row_number = 310"),
        ("rows_and_money_conserved", "DELETE FROM silver.payments_quarantine WHERE _row_number >= 300"),
        ("rows_and_money_conserved", "DELETE FROM silver.payments_duplicates WHERE _row_number < 300"),
        ("ledger_gapless", "UPDATE silver.increments SET from_row = 301 WHERE from_row = 300"),
        ("ledger_gapless", "UPDATE silver.increments SET from_row = 299 WHERE from_row = 300"),
        ("ledger_gapless", "UPDATE silver.as_of SET bronze_rows = 399"),
        ("new_rows_unique", f"UPDATE {_SILVER} SET transaction_id = 'T311' WHERE _row_number = 310"),
        ("new_rows_unique", f"UPDATE {_SILVER} SET _row_number = 311 WHERE _row_number = 310"),
        ("new_rows_valid", f"UPDATE {_SILVER} SET merchant_id = NULL WHERE _row_number = 310"),
        ("new_rows_valid", f"UPDATE {_SILVER} SET risk_tier = 'HUGE' WHERE _row_number = 310"),
        ("new_rows_valid", f"UPDATE {_SILVER} SET fraud_score = 1.01 WHERE _row_number = 310"),
        ("new_rows_valid", "UPDATE silver.payments_quarantine SET reasons = [] WHERE _row_number >= 300"),
        ("rollups_cover_silver", "UPDATE silver.payments_hourly SET events = events + 1 WHERE dimension = 'all'"),
        ("rollups_cover_silver", "DELETE FROM silver.payments_hourly WHERE dimension = 'three_ds'"),
        ("rollups_cover_silver", "UPDATE silver.payments_hourly SET covered_upto = 300"),
        ("rollups_cover_silver", "UPDATE silver.payments_hourly SET refunded_minor = 0 WHERE dimension = 'all'"),
        ("rollups_cover_silver", "UPDATE silver.histograms_hourly SET observations = 1"),
        ("rollups_cover_silver", "DELETE FROM silver.retries_hourly"),
        ("no_card_number", f"UPDATE {_SILVER} SET merchant_name = 'paid with {VISA}' WHERE _row_number = 310"),
        ("no_card_number", f"UPDATE silver.payments_quarantine SET city = '{VISA}' WHERE _row_number = 307"),
        ("views_filled", "DROP VIEW gold.v_3ds_performance"),
        ("views_filled", "CREATE OR REPLACE VIEW gold.v_daily_trends AS SELECT 1 AS a WHERE false"),
        ("views_filled", "CREATE OR REPLACE VIEW gold.v_daily_trends AS SELECT error('broken') AS a"),
        ("rates_within_bounds", "CREATE OR REPLACE VIEW gold.v_daily_trends AS SELECT 1.01 AS approval_rate"),
        ("rates_within_bounds", "CREATE OR REPLACE VIEW gold.v_daily_trends AS SELECT -0.01 AS decline_share"),
        (
            "agrees_with_rollups",
            "CREATE OR REPLACE VIEW gold.v_risk_distribution AS SELECT currency, authorisations + 1 AS authorisations, "
            "approvals, amount_minor FROM gold.v_solution_performance",
        ),
        ("agrees_with_rollups", "CREATE OR REPLACE VIEW gold.v_financial_summary AS SELECT 'EUR' AS currency"),
    ],
)
def test_a_fault_is_found(lake, check, statement):
    change(lake, statement)
    assert check in failed(audit(lake))


@pytest.mark.parametrize("view", ["v_active_alerts", "v_top_decline_reasons", "v_retry_performance"])
def test_what_need_not_happen_may_be_missing_from_its_view(lake, view):
    change(lake, f"CREATE OR REPLACE VIEW gold.{view} AS SELECT 1 AS a WHERE false")
    assert failed(audit(lake)) == set()


def test_rates_may_be_unknown(lake):
    change(lake, "CREATE OR REPLACE VIEW gold.v_daily_trends AS SELECT NULL::DOUBLE AS approval_rate")
    assert failed(audit(lake)) == set()


def test_it_must_not_go_back(lake):
    now = START + timedelta(minutes=MORE)
    assert failed(audit(lake, gate.Position(ROWS, now))) == {"moves_forward"}
    # Once live, the wall clock was ahead of the latest event.
    assert failed(audit(lake, gate.Position(ROWS, now, True, START))) == set()
    assert "moves_forward" in failed(audit(lake, gate.Position(MORE + 1, START)))


def test_the_history_is_not_audited_again(lake):
    """The same fault in the published rows goes unseen: it was looked for when they were new."""
    change(lake, f"UPDATE {_SILVER} SET risk_tier = 'HUGE', city = '{VISA}' WHERE _row_number = 10")
    assert failed(audit(lake)) == set()
    assert failed(audit(lake, gate.Position())) == {"new_rows_valid", "no_card_number"}


def test_nothing_new_passes(lake):
    assert failed(audit(lake, gate.Position(bronze_rows=MORE))) == set()


def test_an_empty_silver_passes(tmp_path):
    lake = Lake(tmp_path)
    add_rows(lake, 0)
    assert failed(audit(lake, gate.Position())) == set()


def test_sums_of_integers_stay_integers(lake):
    with contextlib.closing(duckdb.connect(str(lake.warehouse), read_only=True)) as connection:
        views = gate.read_gold(connection).views
    assert views["v_financial_summary"].schema.field("amount_minor").type == pa.int64()


_PARTS = ("silver", "quarantined", "duplicate")
_TABLES = ("payments_enriched_silver", "payments_quarantine", "payments_duplicates")
_AMOUNTS = st.lists(st.integers(-3, 3), max_size=2)


@settings(max_examples=40, deadline=None)
@given(increments=st.lists(st.tuples(_AMOUNTS, _AMOUNTS, _AMOUNTS, st.integers(-1, 1), st.integers(-1, 1)), max_size=4))
def test_conservation_holds_exactly_where_bronze_is_the_sum_of_its_parts(increments):
    """An increment is the amounts of its three parts, and by how much bronze's count and money differ from theirs."""
    with contextlib.closing(duckdb.connect()) as connection:
        _make_ledger(connection)
        for at, increment in enumerate(increments):
            _add_increment(connection, 100 * at, increment)
        outcome = gate.conserved(connection, start=0)
    assert outcome.passed == all(rows == 0 and minor == 0 for *_, rows, minor in increments)


def _make_ledger(connection: duckdb.DuckDBPyConnection) -> None:
    figures = ", ".join(f"{part}_rows BIGINT, {part}_minor HUGEINT" for part in ("bronze", *_PARTS))
    connection.execute("CREATE SCHEMA silver")
    connection.execute(
        f"CREATE TABLE silver.increments (from_row BIGINT, upto_row BIGINT, currency VARCHAR, {figures})"
    )
    for table in _TABLES:
        connection.execute(f"CREATE TABLE silver.{table} (_row_number BIGINT, currency VARCHAR, amount_minor BIGINT)")


def _add_increment(connection: duckdb.DuckDBPyConnection, first: int, increment: tuple) -> None:
    *parts, more_rows, more_minor = increment
    for table, amounts in zip(_TABLES, parts, strict=True):
        for amount in amounts:
            connection.execute(f"INSERT INTO silver.{table} VALUES ({first}, 'EUR', {amount})")
    held = [figure for amounts in parts for figure in (len(amounts), sum(amounts))]
    bronze = [sum(map(len, parts)) + more_rows, sum(map(sum, parts)) + more_minor]
    connection.execute(
        f"INSERT INTO silver.increments VALUES ({first}, {first + 100}, 'EUR', {', '.join(map(str, bronze + held))})"
    )

"""Silver and its rollups: the same however the rows arrive, whatever is killed; equal to a naive recomputation."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from expectations.catalog import Lake
from expectations.currencies import minor_unit_exponents
from orchestration.medallion.dbt_runner import WarmDbt, warehouse_alone
from tests.support.bronze import land, mixed_rows, new_lake, row
from tests.support.warehouse import copied

ROWS = 900
TABLES = {
    "payments_enriched_silver": "_row_number",
    "payments_quarantine": "_row_number",
    "payments_duplicates": "_row_number",
    "payments_seen": "_row_number",
    "payments_hourly": "event_hour, dimension, member, currency",
    "retries_hourly": "event_hour, retry_reason, attempt, delay_bucket, currency",
    "histograms_hourly": "event_hour, measure, bucket",
    "as_of": "bronze_rows",
}


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return mixed_rows(ROWS, seed=5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, rows) -> Lake:
    """All rows, in one increment. Never write to it: copy it."""
    lake = new_lake(tmp_path_factory.mktemp("whole"), rows)
    run(lake)
    return lake


@pytest.fixture(scope="module")
def third(tmp_path_factory, rows) -> Lake:
    """The first third. Never write to it: copy it."""
    lake = new_lake(tmp_path_factory.mktemp("third"), rows[:300])
    run(lake)
    return lake


@pytest.fixture(scope="module")
def at_once(whole) -> dict[str, list]:
    return contents(whole)


def run(lake: Lake, **options: object) -> None:
    dbt = WarmDbt(lake)
    with warehouse_alone(lake):
        if not lake.warehouse.exists():
            dbt.run(["currencies"], command="seed")
        dbt.run(**options)


def query(lake: Lake, sql: str) -> list[tuple]:
    with duckdb.connect(str(lake.warehouse), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


def contents(lake: Lake) -> dict[str, list]:
    """Every table but for the ledger and the position in each row of a rollup, which tell of increments."""
    return {
        name: query(lake, f"SELECT columns(c -> c <> 'covered_upto') FROM silver.{name} ORDER BY {order}")
        for name, order in TABLES.items()
    }


def totals(lake: Lake) -> list[tuple]:
    return query(
        lake,
        "SELECT currency, sum(bronze_rows), sum(silver_rows), sum(quarantined_rows), sum(duplicate_rows), "
        "sum(bronze_minor), sum(silver_minor), sum(quarantined_minor), sum(duplicate_minor) "
        "FROM silver.increments GROUP BY 1 ORDER BY 1",
    )


def naive(rows: list[dict]) -> tuple[list[dict], Counter, dict[int, int]]:
    """Accepted rows, quarantine reasons, and the first row of each duplicate: one row after the other."""
    accepted: dict[str, dict] = {}
    reasons: Counter = Counter()
    duplicates: dict[int, int] = {}
    for payment in rows:
        broken = tuple(
            code
            for code, is_broken in (
                ("unknown_currency", payment["currency"] not in minor_unit_exponents()),
                ("amount_not_positive", payment["amount_minor"] <= 0),
                ("event_in_future", payment["event_timestamp"] > payment["_ingested_at"] + timedelta(seconds=300)),
            )
            if is_broken
        )
        if broken:
            reasons[broken] += 1
        elif payment["transaction_id"] in accepted:
            duplicates[payment["_row_number"]] = accepted[payment["transaction_id"]]["_row_number"]
        else:
            accepted[payment["transaction_id"]] = payment
    return list(accepted.values()), reasons, duplicates


def test_silver_equals_a_naive_recomputation(whole, rows):
    accepted, reasons, duplicates = naive(rows)
    held = query(whole, "SELECT _row_number FROM silver.payments_enriched_silver ORDER BY 1")
    assert [number for (number,) in held] == [payment["_row_number"] for payment in accepted]
    found = query(whole, "SELECT reasons FROM silver.payments_quarantine")
    assert Counter(tuple(codes) for (codes,) in found) == reasons
    found = dict(query(whole, "SELECT _row_number, first_row_number FROM silver.payments_duplicates"))
    assert found == duplicates
    differing = query(whole, "SELECT count(*) FROM silver.payments_duplicates WHERE NOT is_same_content")
    assert 0 < differing[0][0] < len(duplicates)


def test_rollups_equal_a_naive_recomputation(whole, rows):
    accepted, _, _ = naive(rows)
    expected: dict[tuple, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for payment in accepted:
        hour = payment["event_timestamp"].replace(minute=0, second=0)
        is_authorisation = payment["event_type"] == "authorisation"
        for dimension, member in (("all", "all"), ("card_network", payment["card_network"] or "(none)")):
            sums = expected[hour, dimension, member, payment["currency"]]
            sums[0] += 1
            sums[1] += is_authorisation and payment["is_approved"] is True
            sums[2] += payment["amount_minor"] if is_authorisation else 0
            sums[3] += round((payment["fraud_score"] or 0) * 1_000_000)
    found = query(
        whole,
        "SELECT event_hour, dimension, member, currency, events, approvals, amount_minor, fraud_score_micro "
        "FROM silver.payments_hourly WHERE dimension IN ('all', 'card_network')",
    )
    assert {
        (hour.astimezone(UTC), *key): list(sums) for hour, *key, a, b, c, d in found for sums in [(a, b, c, d)]
    } == {(key[0], *key[1:]): sums for key, sums in expected.items()}


@pytest.mark.parametrize("cuts", [[450], [1, 2, 300, 899], [100, 200, 600]])
def test_how_rows_arrive_changes_nothing(tmp_path, rows, at_once, cuts):
    lake, start = Lake(tmp_path), 0
    for end in (*cuts, ROWS):
        land(lake, rows[start:end])
        run(lake)
        start = end
    assert contents(lake) == at_once
    ledger = query(lake, "SELECT DISTINCT from_row, upto_row FROM silver.increments ORDER BY 1")
    assert ledger == list(zip([0, *cuts], [*cuts, ROWS], strict=True))


@pytest.mark.parametrize(
    "done",
    [
        ["payments_verdicts"],
        ["payments_verdicts", "payments_seen"],
        ["payments_verdicts", "payments_seen", "payments_enriched_silver"],
        ["payments_verdicts", "payments_seen", "payments_enriched_silver", "payments_duplicates", "payments_hourly"],
        ["path:models/silver,resource_type:model", "--exclude", "increments", "as_of"],
    ],
)
def test_an_increment_that_died_between_two_models_is_completed(tmp_path, rows, third, whole, at_once, done):
    """More rows have landed before it is run again."""
    lake = copied(third, tmp_path)
    land(lake, rows[300:600])
    run(lake, selection=done)
    land(lake, rows[600:])
    run(lake)
    assert contents(lake) == at_once
    assert [counts[1:3] for counts in totals(lake)] == [counts[1:3] for counts in totals(whole)]


def test_nothing_new_changes_nothing(tmp_path, whole, at_once):
    lake = copied(whole, tmp_path)
    run(lake)
    assert contents(lake) == at_once
    assert query(lake, "SELECT count(DISTINCT upto_row) FROM silver.increments") == [(1,)]


def test_a_full_refresh_gives_the_same(tmp_path, rows, third, at_once):
    lake = copied(third, tmp_path)
    land(lake, rows[300:])
    run(lake)
    run(lake, full_refresh=True)
    assert contents(lake) == at_once


def test_counts_and_money_are_conserved(whole, rows):
    for _, *rest in totals(whole):
        bronze, silver, quarantined, duplicates, *money = rest
        assert bronze == silver + quarantined + duplicates
        assert money[0] == sum(money[1:])
    assert sum(counts[1] for counts in totals(whole)) == ROWS


def test_a_late_row_finds_its_hour(tmp_path):
    first = [row(n) for n in range(180)]
    lake = new_lake(tmp_path, first)
    run(lake)
    late = row(180, event_timestamp=first[3]["event_timestamp"])
    land(lake, [late])
    run(lake)
    events = query(lake, "SELECT events FROM silver.payments_hourly WHERE dimension = 'all' ORDER BY event_hour")
    assert events == [(61,), (60,), (60,)]
    assert query(lake, "SELECT late_rows FROM silver.increments ORDER BY upto_row") == [(0,), (1,)]


def test_now_is_the_latest_event_or_while_that_is_recent_the_wall_clock(tmp_path, whole):
    lake = copied(whole, tmp_path)
    ((newest,),) = query(lake, "SELECT max(event_timestamp) FROM silver.payments_enriched_silver")
    assert query(lake, "SELECT as_of, is_live FROM silver.as_of") == [(newest, False)]
    for hours, expected in ((1, (newest + timedelta(hours=1), True)), (2, (newest, False))):
        run(lake, wall_clock=newest + timedelta(hours=hours))
        assert query(lake, "SELECT as_of, is_live FROM silver.as_of") == [expected]


def test_a_day_is_built_anew_after_a_rule_has_changed(tmp_path, whole, at_once):
    """A day's derived columns and rollups are wrong, as if made by an older rule; building it anew mends them."""
    lake = copied(whole, tmp_path)
    day = datetime(2026, 3, 1, tzinfo=UTC).date()
    with duckdb.connect(str(lake.warehouse)) as connection:
        connection.execute(f"UPDATE silver.payments_enriched_silver SET risk_tier = 'LOW' WHERE event_date = '{day}'")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"UPDATE silver.payments_hourly SET member = 'LOWER' WHERE member = 'HIGH' AND event_hour::date = '{day}'"
        )
    assert contents(lake) != at_once
    run(lake, rebuild_day=day)
    assert contents(lake) == at_once

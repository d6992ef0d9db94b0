"""From bronze to published gold: audited, published whole or not at all, killed anywhere, live and by hand."""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from expectations.catalog import Lake
from expectations.clock import frozen_clock
from expectations.errors import LakeBusy, TollgateError
from expectations.lease import Lease
from orchestration.mart import current_version
from orchestration.medallion import gate
from orchestration.medallion.dbt_runner import WarmDbt, generation, warehouse_alone
from orchestration.medallion.increments import PUBLICATION_LAG, Medallion, check_bronze, linger, why_idle
from orchestration.medallion.jobs import live_medallion
from orchestration.medallion.publishing import publish
from orchestration.query import run_query
from orchestration.resources import Platform
from tests.support.bronze import INGESTED_AT, land, mixed_rows, new_lake, row
from tests.support.warehouse import copied

NOW = INGESTED_AT + timedelta(days=30)
ROWS = 600


class KilledError(BaseException):
    """Like SIGKILL: nothing may catch it."""


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return mixed_rows(ROWS, seed=9)


def medallion(lake: Lake, **options: object) -> Medallion:
    return Medallion(lake, frozen_clock(NOW), **options)


def published(lake: Lake) -> dict[str, list]:
    """All that readers see."""
    views = run_query(
        lake, "SELECT schema_name || '.' || view_name AS name FROM duckdb_views() WHERE NOT internal ORDER BY 1"
    ).to_pylist()
    names = [view["name"] for view in views if view["name"].startswith(("silver.", "gold."))]
    return {name: run_query(lake, f"SELECT * FROM {name} ORDER BY ALL").to_pylist() for name in names}


def marts(lake: Lake) -> dict[str, bytes]:
    """The published files, byte for byte."""
    return {
        str(path.relative_to(lake.marts)): path.read_bytes()
        for path in lake.marts.rglob("*.parquet")
        if not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def first(tmp_path_factory, rows) -> Lake:
    """One increment. Never write to it: copy it."""
    lake = new_lake(tmp_path_factory.mktemp("first"), rows[:400])
    medallion(lake).increment()
    return lake


@pytest.fixture(scope="module")
def calm(tmp_path_factory, rows, first) -> Lake:
    """Two increments, undisturbed."""
    lake = copied(first, tmp_path_factory.mktemp("calm"))
    land(lake, rows[400:])
    medallion(lake).increment()
    return lake


@pytest.fixture
def lake(tmp_path, first) -> Lake:
    """A lake of one increment, to go on with."""
    return copied(first, tmp_path / "lake")


def test_every_row_is_published_or_accounted_for(calm, rows):
    seen = published(calm)
    parts = ("payments_enriched_silver", "payments_quarantine", "payments_duplicates")
    assert sum(len(seen[f"silver.{name}"]) for name in parts) == ROWS
    assert sum(name.startswith("gold.v_") for name in seen) == 16
    (kpis,) = [
        row for row in seen["gold.v_executive_kpis"] if (row["period"], row["currency"]) == ("last_30_days", "ALL")
    ]
    assert kpis["authorisations"] == sum(
        row["event_type"] == "authorisation" for row in seen["silver.payments_enriched_silver"]
    )


def test_publishing_the_same_again_writes_nothing(calm):
    before = marts(calm)
    publication = medallion(calm).increment().publication
    assert publication.is_published and not publication.is_new and publication.files == 0
    assert marts(calm) == before


@pytest.mark.parametrize("point", ["audit", "gold files"])
def test_an_increment_that_died_is_done_again(lake, rows, calm, point):
    """The fault tests kill real processes at the other points."""
    before = published(lake)
    land(lake, rows[400:])

    def die(passed: str) -> None:
        if passed == point:
            raise KilledError

    with pytest.raises(KilledError):
        medallion(lake, passed=die).increment()
    assert published(lake) == before
    medallion(lake).increment()
    assert published(lake) == published(calm)
    assert marts(lake) == marts(calm)


def test_what_fails_the_gate_is_not_published(lake, rows):
    before = published(lake)
    land(lake, rows[400:])
    with warehouse_alone(lake):
        WarmDbt(lake).run()
        with duckdb.connect(str(lake.warehouse)) as connection:
            connection.execute("UPDATE silver.increments SET silver_minor = silver_minor + 1 WHERE from_row = 400")
    publication = medallion(lake).increment().publication
    assert not publication.is_published
    assert "rows_and_money_conserved" in {outcome.check for outcome in publication.failed}
    assert published(lake) == before


def test_readers_are_never_in_the_way(lake, rows):
    """They open the mart again and again, and hold it open, while increments are published."""
    warm = medallion(lake)
    held = duckdb.connect(str(lake.mart), read_only=True)
    counts, is_over = [], threading.Event()

    def read() -> None:
        while not is_over.is_set():
            counts.append(
                run_query(lake, "SELECT count(*) AS rows FROM silver.payments_enriched_silver").to_pylist()[0]["rows"]
            )

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for end in (500, 600):
            land(lake, rows[end - 100 : end])
            assert warm.increment().publication.is_published
    finally:
        is_over.set()
        reader.join()
    assert counts == sorted(counts) and len({*counts}) > 1
    assert held.execute("SELECT count(*) FROM silver.payments_enriched_silver").fetchone()[0] == counts[0]
    held.close()


def test_an_earlier_publication_can_be_asked(lake, rows):
    first = current_version(lake, "silver")
    land(lake, rows[400:])
    Medallion(lake, frozen_clock(NOW + timedelta(minutes=1))).increment()
    sql = "SELECT count(*) AS rows FROM silver.payments_enriched_silver"
    ((earlier,), (now,)) = run_query(lake, sql, as_of=first.as_of).to_pylist(), run_query(lake, sql).to_pylist()
    assert earlier["rows"] == first.rows["payments_enriched_silver"] < now["rows"]
    with pytest.raises(TollgateError):
        run_query(lake, sql, as_of=datetime(2020, 1, 1, tzinfo=UTC)).to_pylist()


def test_a_day_that_is_built_anew_is_published_anew(lake, rows):
    before = published(lake)
    day = min(row["event_timestamp"] for row in rows).date()
    with warehouse_alone(lake):
        with duckdb.connect(str(lake.warehouse)) as connection:
            connection.execute("UPDATE silver.payments_enriched_silver SET amount_bucket = 'large'")
        for number in range(4):
            WarmDbt(lake).run(rebuild_day=day + timedelta(days=number))
    assert medallion(lake).increment().publication.is_published
    assert published(lake) == before


def test_a_full_refresh_is_published_anew(tmp_path, rows):
    """Rows that were published before may have changed then, though no row has come."""
    lake = new_lake(tmp_path, rows)
    with warehouse_alone(lake):
        WarmDbt(lake).run(["path:seeds"], command="seed")
        WarmDbt(lake).run(["path:models"])
        with duckdb.connect(str(lake.warehouse)) as connection:
            connection.execute("UPDATE silver.payments_enriched_silver SET business_date = business_date - 1")
        publish(lake, frozen_clock(NOW), generation=generation(lake))
    shifted = published(lake)["silver.payments_enriched_silver"]
    with warehouse_alone(lake):
        WarmDbt(lake).run(["path:models"], full_refresh=True)
    assert medallion(lake).increment().publication.is_published
    mended = published(lake)["silver.payments_enriched_silver"]
    assert [row["business_date"] - timedelta(days=1) for row in mended] == [row["business_date"] for row in shifted]


def test_a_scan_of_the_warehouse_is_waited_for(lake, rows):
    """The card-number scan opens the file for reading, and has no lock of ours."""
    code = "import sys, time, duckdb; c = duckdb.connect(sys.argv[1], read_only=True); print(flush=True); time.sleep(4)"
    with subprocess.Popen([sys.executable, "-c", code, str(lake.warehouse)], stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        land(lake, rows[400:])
        assert medallion(lake).increment().publication.is_published


class Clock:
    """Time that passes only by sleeping; each sleep may do something."""

    def __init__(self, *deeds: object):
        self.now, self._deeds = 0.0, list(deeds)

    def elapsed(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self._deeds:
            self._deeds.pop(0)()


def test_the_live_run_publishes_whenever_something_has_landed(lake, rows):
    clock = Clock(lambda: land(lake, rows[450:500]), lambda: None, lambda: land(lake, rows[500:]))
    land(lake, rows[400:450])
    assert why_idle(lake) is None
    increments = [*linger(medallion(lake), "test", 5, 1_000, clock.elapsed, clock.sleep)]
    assert [increment.publication.bronze_rows for increment in increments] == [450, 500, 600]
    assert why_idle(lake) == "all 600 landed rows are published"
    assert clock.now >= 5 and not lake.medallion_lease.exists()


def test_every_increment_is_a_materialisation_with_its_own_verdicts(tmp_path, lake, rows, monkeypatch):
    monkeypatch.setenv("TOLLGATE_MEDALLION_IDLE_SECONDS", "1")
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        for end in (500, 600):
            land(lake, rows[end - 100 : end])
            platform = Platform(lake_root=str(lake.root), log=str(tmp_path / "no.csv"))
            result = live_medallion.execute_in_process(instance=instance, resources={"platform": platform})
            assert result.success
        materialised = instance.fetch_materializations(dg.AssetKey("published_gold"), limit=10).records
        for check in (*gate.CHECKS, PUBLICATION_LAG):
            key = dg.AssetCheckKey(dg.AssetKey(check.asset), check.check)
            verdicts = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
            assert len(verdicts) == len(materialised) == 2
            # What Dagster takes for the verdict on the newest materialisation.
            assert verdicts[0].run_id == materialised[0].run_id


def test_there_is_one_live_run(tmp_path, rows):
    lake = new_lake(tmp_path, rows[:50])
    with Lease(lake.medallion_lease, "another"), pytest.raises(LakeBusy):
        next(linger(medallion(lake), "test", 1, 1))


def test_increments_and_full_builds_take_turns(tmp_path):
    """Neither starves: both get the warehouse again and again, though both always want it."""
    lake, turns, is_over = Lake(tmp_path), {"increment": 0, "build": 0}, threading.Event()

    def work(name: str, busy_seconds: float, pause_seconds: float) -> None:
        while not is_over.is_set():
            with warehouse_alone(lake):
                turns[name] += 1
                time.sleep(busy_seconds)
            time.sleep(pause_seconds)

    workers = [threading.Thread(target=work, args=args) for args in (("increment", 0.1, 0.25), ("build", 0.3, 0.25))]
    for worker in workers:
        worker.start()
    time.sleep(6)
    is_over.set()
    for worker in workers:
        worker.join()
    assert min(turns.values()) >= 4


def test_now_is_the_wall_clock_only_while_the_company_is_at_work(tmp_path):
    """An event of next year, which silver does not accept, does not make it so."""
    event_at = INGESTED_AT - timedelta(minutes=30)
    lake = new_lake(
        tmp_path, [row(0, event_timestamp=event_at), row(1, event_timestamp=INGESTED_AT + timedelta(days=365))]
    )
    soon, late = INGESTED_AT, INGESTED_AT + timedelta(hours=2)
    assert Medallion(lake, frozen_clock(soon)).increment().publication.as_of == soon
    land(lake, [row(2, event_timestamp=event_at)])
    assert Medallion(lake, frozen_clock(late)).increment().publication.as_of == event_at


def test_bronze_must_be_what_the_contract_says(tmp_path, rows):
    import pyarrow as pa
    from deltalake import write_deltalake

    lake = new_lake(tmp_path / "good", rows[:5])
    check_bronze(lake)
    good = pa.Table.from_pylist([{"transaction_id": "T", "amount_minor": 1.5}])
    path = Path(Lake(tmp_path / "bad").table("payments_raw_bronze"))
    write_deltalake(path, good)
    with pytest.raises(TollgateError, match="bronze lacks the column event_type"):
        check_bronze(Lake(tmp_path / "bad"))


def test_a_further_column_in_bronze_is_left_alone(tmp_path, rows):
    from deltalake import DeltaTable
    from deltalake.schema import Field, PrimitiveType

    lake = new_lake(tmp_path, rows[:100])
    DeltaTable(lake.table("payments_raw_bronze")).alter.add_columns([Field("loyalty_tier", PrimitiveType("string"))])
    assert medallion(lake).increment().publication.is_published
    assert "loyalty_tier" not in published(lake)["silver.payments_enriched_silver"][0]


def test_a_changed_type_in_bronze_is_one_line(tmp_path, rows):
    import pyarrow as pa
    from deltalake import write_deltalake

    from expectations.tables import PAYMENTS_RAW_BRONZE

    schema = PAYMENTS_RAW_BRONZE.arrow()
    at = schema.get_field_index("amount_minor")
    table = pa.Table.from_pylist(rows[:5], schema).cast(schema.set(at, pa.field("amount_minor", pa.string())))
    write_deltalake(Lake(tmp_path).table("payments_raw_bronze"), table)
    with pytest.raises(TollgateError, match="bronze has amount_minor as string, not int64"):
        check_bronze(Lake(tmp_path))

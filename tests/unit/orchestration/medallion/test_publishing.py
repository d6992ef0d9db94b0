"""Write, audit, publish: all or nothing, once, the same after any death, and never in a reader's way."""

from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from expectations.catalog import Lake
from expectations.clock import frozen_clock
from expectations.errors import TollgateError
from expectations.silver import SILVER_TABLES
from orchestration.mart import current_versions
from orchestration.medallion import publishing
from orchestration.medallion.gate import CHECKS, GOLD_VIEWS
from orchestration.medallion.publishing import compact_silver, publish, published_rows
from orchestration.outcomes import Outcome
from orchestration.query import run_query
from tests.support.warehouse import START, add_rows, change, changing, copied

ROWS, MORE = 300, 400
NOW = START + timedelta(days=30)
CLOCK = frozen_clock(NOW)
POINTS = ("audit", "silver files", "gold files", "silver manifest", "gold manifest", "current", "mart built", "mart")


class KilledError(BaseException):
    """Like SIGKILL: nothing may catch it."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One increment, published."""
    lake = Lake(tmp_path_factory.mktemp("first"))
    add_rows(lake, ROWS)
    assert publish(lake, CLOCK).is_published
    return lake


@pytest.fixture
def lake(tmp_path: Path, first: Lake) -> Lake:
    """The same, to go on from."""
    return copied(first, tmp_path)


@pytest.fixture
def fresh(tmp_path: Path) -> Lake:
    """One increment, not published."""
    lake = Lake(tmp_path)
    add_rows(lake, ROWS)
    return lake


def files(lake: Lake) -> dict[str, bytes]:
    """All that was published, byte for byte; not the file of views, into which DuckDB writes what it likes."""
    return {
        str(path.relative_to(lake.marts)): path.read_bytes()
        for path in lake.marts.rglob("*")
        if path.is_file() and path != lake.mart
    }


def seen(lake: Lake) -> dict[str, list[tuple]]:
    """All that a reader of the file of views sees."""
    with duckdb.connect(str(lake.mart), read_only=True) as connection:
        names = connection.execute(
            "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1"
        ).fetchall()
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for (name,) in names}


def held(lake: Lake, relation: str) -> list[tuple]:
    with changing(lake) as connection:
        return connection.execute(f"SELECT * FROM {relation} ORDER BY ALL").fetchall()


def die_at(point: str):
    def passed(name: str) -> None:
        if name == point:
            raise KilledError

    return passed


def test_readers_see_what_the_warehouse_holds(lake):
    found = seen(lake)
    names = {f"silver.{table.name}" for table in SILVER_TABLES} | {f"gold.{view}" for view in GOLD_VIEWS}
    assert {*found} == names | {"meta.publications"}
    for name in names:
        assert found[name] == held(lake, name)


def test_a_publication_says_what_it_is(fresh):
    publication = publish(fresh, CLOCK)
    assert publication.is_published and publication.is_new and publication.failed == ()
    assert publication.bronze_rows == published_rows(fresh) == ROWS
    assert publication.as_of == publication.newest_event_at == START + timedelta(minutes=ROWS - 1)
    assert publication.new_rows == sum(row["rows"] for row in rows_of(fresh, "payments_enriched_silver"))
    assert {*current_versions(fresh)} == {*publication.versions} == {"silver", "gold"}
    assert run_query(fresh, "SELECT * FROM meta.publications ORDER BY domain").to_pylist() == [
        {
            "domain": domain,
            "version": publication.versions[domain].version,
            "as_of": publication.as_of,
            "published_at": NOW,
            "bronze_rows": ROWS,
            "checks_passed": len(CHECKS),
        }
        for domain in ("gold", "silver")
    ]


def rows_of(lake: Lake, relation: str) -> list[dict]:
    """The files of a relation, as the manifest names them."""
    version = current_versions(lake)["silver"]
    return [file.model_dump() for file in version.files[relation]]


def test_the_same_state_gives_the_same_version_and_writes_nothing(lake):
    publish(lake, CLOCK)  # it is a copy: the views go to its own files
    before = files(lake), lake.mart.stat().st_ino
    publication = publish(lake, frozen_clock(NOW + timedelta(minutes=1)))
    assert publication.is_published and not publication.is_new
    assert (publication.files, publication.new_rows) == (0, 0)
    assert (files(lake), lake.mart.stat().st_ino) == before


def test_new_rows_come_in_one_new_file_and_old_files_stay(lake):
    before = files(lake)
    add_rows(lake, MORE)
    publication = publish(lake, CLOCK)
    assert publication.is_published and publication.bronze_rows == MORE
    parts = rows_of(lake, "payments_enriched_silver")
    assert [(part["from_row"], part["upto_row"]) for part in parts] == [(0, ROWS), (ROWS, MORE)]
    assert parts[1]["rows"] == publication.new_rows
    after = files(lake)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"current.json"}
    assert seen(lake)["silver.payments_enriched_silver"] == held(lake, "silver.payments_enriched_silver")


def test_an_unchanged_view_is_not_written_again(lake):
    """Nothing is known of it but its content."""
    change(lake, "CREATE OR REPLACE VIEW gold.v_active_alerts AS SELECT 'none' AS severity")
    publish(lake, CLOCK)
    before = {name for name in files(lake) if "v_active_alerts" in name}
    add_rows(lake, MORE)
    change(lake, "CREATE OR REPLACE VIEW gold.v_active_alerts AS SELECT 'none' AS severity")
    publish(lake, CLOCK)
    assert {name for name in files(lake) if "v_active_alerts" in name} == before


def test_relations_without_rows_have_columns(tmp_path):
    lake = Lake(tmp_path)
    add_rows(lake, 5)
    assert publish(lake, CLOCK).is_published
    for table in SILVER_TABLES:
        found = run_query(lake, f"SELECT * FROM silver.{table.name}")
        assert tuple(found.column_names) == table.columns
    assert len(run_query(lake, "SELECT * FROM silver.payments_quarantine")) == 0


def test_an_empty_warehouse_is_published(tmp_path):
    lake = Lake(tmp_path)
    add_rows(lake, 0)
    publication = publish(lake, CLOCK)
    assert publication.is_published and publication.as_of is None
    add_rows(lake, ROWS)
    assert publish(lake, CLOCK).is_published
    assert seen(lake)["silver.payments_enriched_silver"] == held(lake, "silver.payments_enriched_silver")


def test_a_failing_gate_leaves_the_last_good_publication(lake):
    before = files(lake), lake.mart.read_bytes()
    add_rows(lake, MORE)
    change(lake, "UPDATE silver.payments_enriched_silver SET amount_minor = 1 WHERE _row_number = 310")
    publication = publish(lake, CLOCK)
    assert not publication.is_published and not publication.is_new
    assert [outcome.check for outcome in publication.failed] == ["rows_and_money_conserved"]
    assert publication.versions["gold"].bronze_rows == published_rows(lake) == ROWS
    assert (files(lake), lake.mart.read_bytes()) == before


def test_a_failed_check_from_elsewhere_keeps_it_back(fresh):
    failure = Outcome("payments_enriched_silver", "unique_key", False, "two rows have the same key")
    publication = publish(fresh, CLOCK, extra_outcomes=[failure])
    assert publication.failed == (failure,)
    assert not fresh.mart.exists() and published_rows(fresh) == 0


def test_without_a_warehouse_there_is_one_line(tmp_path):
    with pytest.raises(TollgateError, match="there is no warehouse yet"):
        publish(Lake(tmp_path), CLOCK)
    add_rows(Lake(tmp_path), 5)
    change(Lake(tmp_path), "DROP TABLE silver.retries_hourly")
    with pytest.raises(TollgateError, match="retries_hourly"):
        publish(Lake(tmp_path), CLOCK)


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory, first: Lake) -> Lake:
    """A second increment on top, not published."""
    lake = copied(first, tmp_path_factory.mktemp("ahead"))
    add_rows(lake, MORE)
    return lake


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, ahead: Lake) -> Lake:
    """Both increments, published."""
    lake = copied(ahead, tmp_path_factory.mktemp("undisturbed"))
    publish(lake, CLOCK)
    return lake


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_and_run_again(ahead, undisturbed, tmp_path, point):
    lake = copied(ahead, tmp_path)
    before = seen(lake)
    with pytest.raises(KilledError):
        publish(lake, CLOCK, passed=die_at(point))
    is_shown = point == "mart"
    assert seen(lake) == (seen(undisturbed) if is_shown else before)
    assert publish(lake, CLOCK).is_published
    assert files(lake) == files(undisturbed)
    assert seen(lake) == seen(undisturbed)


@pytest.mark.parametrize("point", ["silver files", "silver manifest", "current"])
def test_killed_at_the_very_first(fresh, first, point):
    with pytest.raises(KilledError):
        publish(fresh, CLOCK, passed=die_at(point))
    publish(fresh, CLOCK)
    assert files(fresh) == files(first)
    assert seen(fresh) == seen(first)


def test_every_commit_point_is_told(fresh):
    told = []
    publish(fresh, CLOCK, passed=told.append)
    assert tuple(told) == POINTS


def test_a_half_written_file_is_written_again(lake):
    add_rows(lake, MORE)
    hidden = lake.marts / "silver" / "files" / f".payments_enriched_silver_{ROWS}_{MORE}.tmp"
    hidden.write_bytes(b"half")
    assert publish(lake, CLOCK).is_published
    assert not hidden.exists()


def test_what_was_changed_in_place_is_written_anew_under_another_generation(lake):
    relation = "silver.payments_enriched_silver"
    change(lake, f"UPDATE {relation} SET composite_risk_score = 0.5 WHERE _row_number < 100")
    assert publish(lake, CLOCK, generation="").files == 0
    publication = publish(lake, CLOCK, generation="rebuilt")
    assert publication.is_published and publication.is_new
    assert seen(lake)[relation] == held(lake, relation)
    assert not publish(lake, CLOCK, generation="rebuilt").is_new
    assert publish(lake, CLOCK, generation="rebuilt again").files == 0  # the content is the same


def test_a_warehouse_that_was_built_anew_is_noticed(lake):
    add_rows(lake, MORE)
    publish(lake, CLOCK)
    lake.warehouse.unlink()
    add_rows(lake, MORE)
    publication = publish(lake, CLOCK)
    assert publication.is_published
    assert [(part["from_row"], part["upto_row"]) for part in rows_of(lake, "payments_enriched_silver")] == [(0, MORE)]
    assert seen(lake)["silver.payments_enriched_silver"] == held(lake, "silver.payments_enriched_silver")


def test_all_of_it_is_written_in_files_of_bounded_size(fresh, monkeypatch):
    monkeypatch.setattr(publishing, "PART_ROWS", 120)
    publish(fresh, CLOCK)
    parts = rows_of(fresh, "payments_enriched_silver")
    assert [(part["from_row"], part["upto_row"]) for part in parts] == [(0, 120), (120, 240), (240, 300)]
    assert seen(fresh)["silver.payments_enriched_silver"] == held(fresh, "silver.payments_enriched_silver")


def test_compaction_changes_files_and_no_content(lake):
    for upto in range(ROWS + 10, ROWS + 60, 10):
        add_rows(lake, upto)
        publish(lake, CLOCK)
    before = {name: rows for name, rows in seen(lake).items() if name != "meta.publications"}
    compaction = compact_silver(lake, CLOCK)
    assert compaction.is_new and compaction.files_before > 8 and compaction.files_after == len(SILVER_TABLES)
    assert {name: rows for name, rows in seen(lake).items() if name != "meta.publications"} == before
    (part,) = rows_of(lake, "payments_enriched_silver")
    numbers = pq.read_table(lake.marts / "silver" / "files" / part["name"])["_row_number"].to_pylist()
    assert numbers == sorted(numbers)
    assert not compact_silver(lake, CLOCK).is_new
    assert not publish(lake, CLOCK).is_new
    add_rows(lake, MORE)
    assert publish(lake, CLOCK).is_published
    assert seen(lake)["silver.payments_enriched_silver"] == held(lake, "silver.payments_enriched_silver")


def test_what_is_published_during_a_compaction_stays(lake):
    add_rows(lake, ROWS + 10)
    publish(lake, CLOCK)

    def publish_more(point: str) -> None:
        if point == "merged files":
            add_rows(lake, MORE)
            publish(lake, CLOCK)

    assert compact_silver(lake, CLOCK, passed=publish_more).is_new
    parts = rows_of(lake, "payments_enriched_silver")
    assert [(part["from_row"], part["upto_row"]) for part in parts] == [(0, ROWS + 10), (ROWS + 10, MORE)]
    assert seen(lake)["silver.payments_enriched_silver"] == held(lake, "silver.payments_enriched_silver")


def test_compaction_of_nothing(tmp_path):
    assert not compact_silver(Lake(tmp_path), CLOCK).is_new

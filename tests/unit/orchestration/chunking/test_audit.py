"""The checks of the flow from log to bronze: a sound lake passes all of them, and each sees what it is for."""

import dataclasses
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from expectations import delta
from expectations.catalog import Lake
from expectations.landing import list_chunks
from expectations.offset import read_offset
from expectations.tables import PAYMENTS_RAW_BRONZE, SOURCE_QUARANTINE
from expectations.thresholds import OFFSET_STALE_SECONDS
from orchestration.chunking.audit import CHECKS, LIVE_CHECKS, check_lake, check_offset_age, check_tick
from tests.support.chunking import NOW, chunk_all, overwrite_offset
from tests.support.payment_logs import csv_log, numbered, payment

LINES = [
    *numbered(7),
    payment(amount="x"),
    payment(currency="JPY", amount="100", fee=""),
    payment(merchant_name='two\nlines, "quoted"'),
    payment(event_type="purchase"),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a lake in which all is as it should be."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "log.csv").write_bytes(csv_log(LINES))
    chunk_all(folder / "log.csv", folder / "lake", chunk_size=4)
    return folder / "lake"


@pytest.fixture
def lake(sound: Path, tmp_path: Path) -> Lake:
    """A copy of it."""
    return Lake(shutil.copytree(sound, tmp_path / "lake"))


def failed(lake: Lake) -> set[str]:
    return {outcome.check for outcome in check_lake(lake, []) if not outcome.passed}


def test_a_sound_lake_passes_every_check_and_tells_its_figures(lake: Lake):
    outcomes = check_lake(lake, [])
    assert [(o.asset, o.check) for o in outcomes] == [(check.asset, check.check) for check in CHECKS]
    assert all(outcome.passed for outcome in outcomes), outcomes
    figures = {outcome.check: outcome.figures for outcome in outcomes}
    assert figures["entries_conserved"] == {"entries": 11, "rows": 9, "quarantined": 2, "chunks": 3}
    assert figures["rows_conserved"]["JPY minor units"] == 100
    assert {"quarantined": 2, "reason bad_number": 1, "reason not_allowed": 1}.items() <= (
        figures["every_entry_explained"].items()
    )


def test_a_lake_without_anything_passes(tmp_path: Path):
    assert failed(Lake(tmp_path)) == set()


def test_archived_chunks_count(lake: Lake):
    lake.archive.mkdir()
    first = list_chunks(lake.landing)[0]
    (lake.landing / first.name).rename(lake.archive / first.name)
    assert failed(lake) == set()


def test_a_lake_whose_entries_are_all_in_quarantine_passes(tmp_path: Path):
    (tmp_path / "log.csv").write_bytes(csv_log([payment(amount="x")] * 3))
    chunk_all(tmp_path / "log.csv", tmp_path / "lake", chunk_size=2)
    assert failed(Lake(tmp_path / "lake")) == set()


def lose_a_chunk(lake: Lake) -> None:
    (lake.landing / list_chunks(lake.landing)[1].name).unlink()


def lose_the_last_chunk(lake: Lake) -> None:
    (lake.landing / list_chunks(lake.landing)[-1].name).unlink()


def change_an_amount(lake: Lake) -> None:
    path = lake.landing / list_chunks(lake.landing)[0].name
    path.write_bytes(path.read_bytes().replace(b",25,", b",26,", 1))


def lose_a_row_of_bronze(lake: Lake) -> None:
    delta.open_table(lake.table("payments_raw_bronze")).delete("_row_number = 3")


def double_a_row_of_bronze(lake: Lake) -> None:
    path = lake.table("payments_raw_bronze")
    row = delta.read_rows(path, PAYMENTS_RAW_BRONZE, ["_row_number"]).slice(3, 1)
    delta.append_once(delta.open_table(path), row, "somebody else", 1)


def swap_a_row_of_bronze(lake: Lake) -> None:
    """The counts agree; one row is twice there, another not at all."""
    path = lake.table("payments_raw_bronze")
    delta.open_table(path).update({"_row_number": "3"}, predicate="_row_number = 4")


def lose_a_quarantined_entry(lake: Lake) -> None:
    delta.open_table(lake.table("source_quarantine")).delete("entry_number = 7")


def unexplain_a_quarantined_entry(lake: Lake) -> None:
    delta.open_table(lake.table("source_quarantine")).update({"reason_code": "''"}, predicate="entry_number = 7")


def spoil_a_value(lake: Lake) -> None:
    delta.open_table(lake.table("payments_raw_bronze")).update({"attempt": "0"}, predicate="_row_number = 3")


def add_a_column(lake: Lake) -> None:
    delta.open_table(lake.table("payments_raw_bronze")).alter.add_columns([deltalake.Field("more", "string")])


def set_the_offset_back(lake: Lake) -> None:
    offset = read_offset(lake.offset_file)
    overwrite_offset(lake.offset_file, dataclasses.replace(offset, entries=offset.entries - 1))


DAMAGES: dict[Callable[[Lake], None], set[str]] = {
    lose_a_chunk: {"entries_conserved", "rows_conserved"},
    lose_the_last_chunk: {"entries_conserved", "offset_monotonic", "rows_conserved"},
    change_an_amount: {"rows_conserved"},
    lose_a_row_of_bronze: {"rows_conserved"},
    double_a_row_of_bronze: {"rows_conserved"},
    swap_a_row_of_bronze: {"rows_conserved"},
    lose_a_quarantined_entry: {"entries_conserved"},
    unexplain_a_quarantined_entry: {"every_entry_explained"},
    spoil_a_value: {"schema_as_declared"},
    add_a_column: {"schema_as_declared"},
    set_the_offset_back: {"entries_conserved", "offset_monotonic"},
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_lake_fails_the_checks_that_are_for_it(lake: Lake, damage: Callable[[Lake], None]):
    damage(lake)
    assert failed(lake) == DAMAGES[damage]


def test_a_tick_answers_every_check(tmp_path: Path):
    (tmp_path / "log.csv").write_bytes(csv_log(LINES))
    for tick in chunk_all(tmp_path / "log.csv", tmp_path / "lake", chunk_size=4):
        outcomes = check_tick(tick)
        assert all(outcome.passed for outcome in outcomes), outcomes
        assert {o.check for o in outcomes} >= {check.check for check in CHECKS}
    broken = dataclasses.replace(tick, rows=tick.rows + 1, bronze_rows=0)
    assert {o.check for o in check_tick(broken) if not o.passed} == {"entries_conserved", "rows_conserved"}


@pytest.mark.parametrize(
    ("seconds", "has_unread", "passed"),
    [
        (OFFSET_STALE_SECONDS - 1, True, True),
        (OFFSET_STALE_SECONDS, True, True),
        (OFFSET_STALE_SECONDS + 1, True, False),
        (10 * OFFSET_STALE_SECONDS, False, True),
    ],
)
def test_the_offset_is_stale_when_something_waits_for_long(lake: Lake, seconds: int, has_unread: bool, passed: bool):
    offset = read_offset(lake.offset_file)
    outcome = check_offset_age(offset, has_unread, NOW + timedelta(seconds=seconds))
    assert (outcome.passed, outcome.figures["age_seconds"]) == (passed, seconds)


def test_no_check_is_declared_twice():
    names = [(check.asset, check.check) for check in (*CHECKS, *LIVE_CHECKS)]
    assert len({*names}) == len(names)
    assert all(check.is_blocking for check in CHECKS) and not any(check.is_blocking for check in LIVE_CHECKS)


def test_quarantine_is_keyed_by_entry(lake: Lake):
    rows = delta.read_rows(lake.table("source_quarantine"), SOURCE_QUARANTINE, ["entry_number"])
    assert rows.column("entry_number").equals(pa.chunked_array([[7, 10]], pa.int64()))

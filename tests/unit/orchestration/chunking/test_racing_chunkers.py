"""Two chunkers on one lake on S3, where no lock keeps them apart: whatever each does when, all is committed once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from expectations.catalog import Lake
from expectations.places import Location
from orchestration.chunking.audit import check_lake
from orchestration.chunking.chunker import Chunker
from orchestration.chunking.follow import drain
from tests.support import lake_contents
from tests.support.chunking import chunk_all, make_chunker
from tests.support.payment_logs import csv_log, numbered, payment

CHUNK_SIZE = 5
LINES = [payment(transaction_id=f"T{n}", amount="x") if n in (3, 11) else line for n, line in enumerate(numbered(14))]


class Meanwhile:
    """Something that happens once, when a chunker passes a point for the n-th time."""

    def __init__(self, point: str, count: int, happens: Callable[[], None]):
        self._point, self._left, self._happens = point, count, happens

    def __call__(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                self._happens()


def assert_committed_once(lake: Lake, log: Path, tmp_path: Path) -> None:
    """Rows and quarantine are those of a lake that one chunker filled undisturbed; so is every check."""
    alone = Lake(tmp_path / "alone")
    chunk_all(log, alone.root, CHUNK_SIZE)
    for table, key in (("payments_raw_bronze", "_row_number"), ("source_quarantine", "entry_number")):
        ours, theirs = (lake_contents.rows(each, table, key) for each in (lake, alone))
        provenance = ("_source_file", "_ingested_at")
        assert [{k: v for k, v in row.items() if k not in provenance} for row in ours] == [
            {k: v for k, v in row.items() if k not in provenance} for row in theirs
        ]
    assert not [outcome for outcome in check_lake(lake, []) if not outcome.passed]


def chunker(log: Path, lake: Location, passed: Callable[[str], None] = lambda point: None) -> Chunker:
    return make_chunker(log, lake, CHUNK_SIZE, passed)


@pytest.mark.parametrize(
    ("point", "count"), [("claim", 1), ("quarantine", 1), ("chunk", 2), ("bronze", 2), ("offset", 1)]
)
def test_while_one_sleeps_the_other_does_it_all(s3_folder, tmp_path: Path, point: str, count: int):
    """The log has grown when the other one looks: it may not cut it otherwise than the sleeper has begun to."""
    log, lake = tmp_path / "log.csv", Lake(s3_folder)
    whole = csv_log(LINES)
    log.write_bytes(csv_log(LINES[:8]))

    def grow_and_work() -> None:
        log.write_bytes(whole)
        [*drain(chunker(log, lake.root), is_final=True)]

    sleeper = chunker(log, lake.root, Meanwhile(point, count, grow_and_work))
    [*drain(sleeper)]
    [*drain(chunker(log, lake.root), is_final=True)]
    assert_committed_once(lake, log, tmp_path)


@pytest.mark.parametrize("point", ["claim", "bronze"])
def test_they_work_chunk_by_chunk_into_each_other(s3_folder, tmp_path: Path, point: str):
    """Each time that one passes the point, the other does one tick."""
    log, lake = tmp_path / "log.csv", Lake(s3_folder)
    log.write_bytes(csv_log(LINES))
    other = chunker(log, lake.root)
    one = chunker(log, lake.root, lambda passed: other.tick() if passed == point else None)
    while one.tick() is not None:
        pass
    [*drain(one, is_final=True)]
    assert_committed_once(lake, log, tmp_path)


def test_an_offset_that_was_set_back_is_no_race(s3_folder, tmp_path: Path):
    """Nobody moves it, though bronze is ahead: that is for a person to see."""
    log, lake = tmp_path / "log.csv", Lake(s3_folder)
    log.write_bytes(csv_log(LINES[:5]))
    chunk_all(log, lake.root, CHUNK_SIZE, is_final=False)
    before = lake.offset_file.read_bytes()
    log.write_bytes(csv_log(LINES))
    [*drain(chunker(log, lake.root))]
    lake.offset_file.write_bytes(before)
    with pytest.raises(Exception, match="changed from outside"):
        chunker(log, lake.root).tick()

"""Compaction, vacuum and archiving while the detector works: it finds the same, and its leftovers go."""

import pytest

from expectations.catalog import Lake
from expectations.clock import frozen_clock
from expectations.landing import list_chunks
from orchestration.maintenance.housekeeping import archive_chunks, compact_tables
from spark_jobs.pattern_detector import state
from spark_jobs.pattern_detector.detector import Detector
from tests.support_naive.lakes import outcome
from tests.support_naive.logs import NOW, SMALL, land, make_log
from tests.support_naive.plain_spark import PlainSpark
from tests.support_naive.recomputation import recompute

CHUNK_SIZE = 40


@pytest.fixture(scope="module")
def log():
    return make_log(1_200, seed=11)


@pytest.fixture
def lake(request, tmp_path, monkeypatch, log) -> Lake:
    """A lake in which the log has landed: on a disk, or on S3 where the test asks for that."""
    monkeypatch.chdir(tmp_path)
    folder = request.getfixturevalue("s3_folder") if getattr(request, "param", "disk") == "s3" else tmp_path
    lake = Lake(folder / "lake")
    land(lake, log, CHUNK_SIZE, is_final=True)
    return lake


def detector(lake: Lake) -> Detector:
    return Detector(PlainSpark(), lake, 3, frozen_clock(NOW), cells_per_batch=3, thresholds=SMALL)


@pytest.mark.parametrize(("lake", "forgets"), [("disk", False), ("disk", True), ("s3", True)], indirect=["lake"])
def test_housekeeping_between_micro_batches_changes_nothing(lake, log, forgets):
    """Whether workers remember their buckets or read them again from the compacted files."""
    for number, _ in enumerate(detector(lake).work_off()):
        if number % 2:
            compact_tables(lake, retention_hours=0)
            archive_chunks(lake)
            if forgets:
                state.resident_bucket.cache_clear()
    outcome(lake).agrees_with(recompute(log.placed(CHUNK_SIZE), 30, SMALL))
    archive_chunks(lake)
    assert list_chunks(lake.landing) == []
    assert [*detector(lake).work_off()] == []


def test_compaction_during_a_micro_batch_changes_nothing(lake, log, monkeypatch):
    """Also where that micro-batch is about to write a bucket whole, and to replace files that are gone by then."""
    monkeypatch.setattr(state, "FILES_PER_BUCKET", 2)
    worker = detector(lake)
    worker.passed = lambda point: compact_tables(lake) if point == "status" else None
    [*worker.work_off()]
    outcome(lake).agrees_with(recompute(log.placed(CHUNK_SIZE), 30, SMALL))


def test_files_that_were_never_committed_are_removed_in_the_end(lake):
    """A killed micro-batch leaves some."""

    class KilledError(BaseException):
        pass

    def die(point: str) -> None:
        raise KilledError

    detector(lake).work_once()
    dying = detector(lake)
    dying.passed = die
    with pytest.raises(KilledError):
        dying.work_once()
    state.resident_bucket.cache_clear()
    table = lake.table("pattern_state")
    left = {str(path.relative_to(table)) for path in table.rglob("*.parquet")} - {
        file.path for snapshot in state.snapshots(state.open_state(table, 3), table, 3) for file in snapshot.files
    }
    assert left
    compact_tables(lake, retention_hours=0)
    assert not any((table / path).exists() for path in left)

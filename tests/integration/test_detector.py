"""The detector on Spark: equal to the naive recomputation however the work is cut, stopped and started."""

import shutil
from dataclasses import replace
from functools import partial

import pytest
from pyspark.errors import StreamingQueryException

from expectations.catalog import Lake
from expectations.clock import frozen_clock
from expectations.errors import LakeBusy
from expectations.landing import list_chunks
from expectations.lease import Lease, read_lease
from spark_jobs.pattern_detector import state, stream
from spark_jobs.pattern_detector.detector import Detector, MicroBatch
from tests.support_naive.lakes import Outcome, outcome
from tests.support_naive.logs import NOW, SMALL, MadeUpLog, land, make_log
from tests.support_naive.recomputation import Recomputed, recompute

pytestmark = pytest.mark.spark

ENTRIES, CHUNK_SIZE, CELLS = 4_000, 130, 31
"""The last cell is a short one."""

FOR_EVER = 10_000.0


@pytest.fixture(scope="module")
def log() -> MadeUpLog:
    return make_log(ENTRIES, seed=1)


@pytest.fixture(scope="module")
def expected(log) -> Recomputed:
    return recompute(log.placed(CHUNK_SIZE), CELLS, SMALL)


@pytest.fixture
def lake(request, tmp_path, monkeypatch) -> Lake:
    """A new lake: on a disk, or on S3 where the test asks for that."""
    monkeypatch.chdir(tmp_path)
    folder = request.getfixturevalue("s3_folder") if getattr(request, "param", "disk") == "s3" else tmp_path
    return Lake(folder / "lake")


@pytest.fixture
def detector(spark, lake) -> Detector:
    return Detector(spark, lake, 4, frozen_clock(NOW), thresholds=SMALL)


@pytest.fixture(scope="module")
def undisturbed(spark, log, tmp_path_factory) -> Outcome:
    """What one run leaves that is given the whole log at once."""
    lake = Lake(tmp_path_factory.mktemp("undisturbed"))
    land(lake, log, CHUNK_SIZE, is_final=True)
    [*stream.work_off(Detector(spark, lake, 4, frozen_clock(NOW), thresholds=SMALL), "test")]
    return outcome(lake)


def streams(detector: Detector) -> list[object]:
    return [*detector.spark.streams.active]


def test_the_log_has_plenty_of_everything(log, expected):
    """Without that the other tests would say little."""
    raised = [action for _, _, action, _, _ in expected.detections]
    assert min(raised.count(action) for action in ("UPGRADE", "CHILD", "DEI-NEEDED")) >= 10
    assert len(raised) >= 200
    flips = expected.flips - len(expected.status)
    assert flips >= 50
    ceased = {key[0] for key in {*expected.status} - expected.holding()}
    assert ceased == {"PatId1", "PatId2", "PatId3"}
    names = [*log.rows["merchant_id"].to_pylist(), *log.rows["customer_id"].to_pylist()]
    assert {"two\nlines", "\r\n", '"', 'café "Zoë", Ltd', " spaced ", "null"} <= {*names}


def test_the_undisturbed_run_is_equal_to_the_recomputation(undisturbed, expected):
    undisturbed.agrees_with(expected)
    assert len(undisturbed.files) == len(expected.detections) // 50 >= 4


@pytest.mark.parametrize(
    ("chunk_size", "cuts", "cells_per_batch", "buckets", "is_final"),
    [
        (37, (), 40, 1, True),
        (130, range(7, ENTRIES, 61), 7, 4, False),
        (500, (1, 2, 3, 499, 501, 1_777, 3_999), 2, 7, True),
        (2_500, range(100, ENTRIES, 100), 1, 3, True),
        (2_500, (), 9, 3, False),
        (ENTRIES, (ENTRIES // 2,), 1, 2, False),
    ],
)
def test_equal_to_the_recomputation(detector, lake, log, chunk_size, cuts, cells_per_batch, buckets, is_final):
    land(lake, log, chunk_size, cuts, is_final)
    batches = [*replace(detector, cells_per_batch=cells_per_batch, buckets=buckets).work_off()]
    cells = -(-ENTRIES // chunk_size) if is_final else ENTRIES // chunk_size
    found = outcome(lake)
    assert found.cells == cells
    assert len(batches) == -(-cells // cells_per_batch)
    found.agrees_with(recompute(log.placed(chunk_size), cells, SMALL))


def test_nothing_depends_on_how_the_log_arrived(detector, lake, log, undisturbed):
    """Bit by bit, cut anywhere, by streams that come and go, with other batch sizes and lost checkpoints."""
    cuts = range(50, ENTRIES, 171)
    for entries, cells_per_batch, loses_checkpoint in ((300, 1, True), (1_111, 3, False), (2_345, 50, True)):
        land(lake, log.upto(entries), CHUNK_SIZE, cuts)
        [*stream.work_off(replace(detector, cells_per_batch=cells_per_batch), "test")]
        assert state.committed_cells(lake.table("pattern_state")) == entries // CHUNK_SIZE
        if loses_checkpoint:
            shutil.rmtree(lake.detector_checkpoint)
    land(lake, log, CHUNK_SIZE, cuts)
    [*stream.work_off(detector, "test")]
    assert state.committed_cells(lake.table("pattern_state")) == CELLS - 1
    land(lake, log, CHUNK_SIZE, is_final=True)
    assert [batch.last_cell for batch in stream.work_off(detector, "test")] == [CELLS - 1]
    assert [*stream.work_off(detector, "test")] == []
    assert outcome(lake) == undisturbed


def test_nothing_depends_on_a_lost_state(detector, lake, log, undisturbed):
    """The checkpoint knows every chunk; what there is to do follows from the tables, though."""
    land(lake, log, CHUNK_SIZE, is_final=True)
    [*stream.work_off(detector, "test")]
    shutil.rmtree(lake.root / "patterns")
    shutil.rmtree(lake.detection_files)
    [*stream.work_off(detector, "test")]
    assert outcome(lake) == undisturbed


def test_a_lingering_stream_works_what_lands_meanwhile(detector, lake, log, undisturbed):
    """It ends by itself when idle; the short last cell is evaluated although no file lands with it."""
    arrivals = iter([1_500, 1_700, 3_100, ENTRIES])
    land(lake, log.upto(700), CHUNK_SIZE)
    cells = []
    for batch in stream.linger(detector, "test", idle_seconds=4, max_life_seconds=FOR_EVER):
        assert read_lease(lake.detector_lease).owner == "test"
        cells += range(batch.first_cell, batch.last_cell + 1)
        entries = next(arrivals, None)
        if entries is not None:
            land(lake, log.upto(entries), CHUNK_SIZE, cuts=[entries - 20])
        else:
            land(lake, log, CHUNK_SIZE, is_final=True)
    assert cells == [*range(CELLS)]
    assert read_lease(lake.detector_lease) is None
    assert streams(detector) == []
    assert outcome(lake) == undisturbed


@pytest.mark.parametrize("lake", ["s3"], indirect=True)
def test_it_lingers_on_s3_too(detector, lake, log):
    """Nothing tells it there that a file has landed: it looks by itself."""
    part, chunk_size = log.upto(1_000), 250
    land(lake, log.upto(700), chunk_size)
    cells = []
    for batch in stream.linger(detector, "test", idle_seconds=4, max_life_seconds=FOR_EVER):
        cells += range(batch.first_cell, batch.last_cell + 1)
        land(lake, part, chunk_size, is_final=True)
    assert cells == [0, 1, 2, 3]
    assert read_lease(lake.detector_lease) is None
    outcome(lake).agrees_with(recompute(part.placed(chunk_size), len(cells), SMALL))


def test_a_stream_that_is_old_ends_after_the_micro_batch_at_hand(detector, lake, log, undisturbed):
    """It tells of all that it did, leaves the rest to the next one, and nothing works on behind its back."""
    land(lake, log, CHUNK_SIZE, is_final=True)
    worker = replace(detector, cells_per_batch=2)
    age = [0.0]
    told = []
    for batch in stream.linger(worker, "old", FOR_EVER, max_life_seconds=60, elapsed=lambda: age[0]):
        told += range(batch.first_cell, batch.last_cell + 1)
        age[0] = 100.0
    assert 2 <= len(told) < CELLS
    assert told == [*range(len(told))]
    assert state.committed_cells(lake.table("pattern_state")) == len(told)
    assert read_lease(lake.detector_lease) is None
    assert streams(detector) == []
    [*stream.work_off(detector, "next")]
    assert state.committed_cells(lake.table("pattern_state")) == CELLS
    assert outcome(lake) == undisturbed


@pytest.mark.parametrize(
    "start", [stream.work_off, partial(stream.linger, idle_seconds=FOR_EVER, max_life_seconds=FOR_EVER)]
)
def test_a_stream_whose_reader_goes_away_stops(detector, lake, log, start):
    """A run was cancelled, or failed for another reason, in a process that lives on."""
    land(lake, log, CHUNK_SIZE, is_final=True)
    told = start(replace(detector, cells_per_batch=1), "test")
    assert next(told).first_cell == 0
    told.close()
    assert streams(detector) == []
    assert read_lease(lake.detector_lease) is None
    done = state.committed_cells(lake.table("pattern_state"))
    assert done < CELLS
    with Lease(lake.detector_lease, "next"):
        assert state.committed_cells(lake.table("pattern_state")) == done


def test_a_failure_in_a_worker_ends_the_stream_and_leaves_nothing_behind(detector, lake, log, undisturbed):
    land(lake, log, CHUNK_SIZE, is_final=True)
    chunk = lake.landing / list_chunks(lake.landing)[20].name
    whole = chunk.read_bytes()
    chunk.write_bytes(whole.replace(b'"EUR"', b'"???"'))
    with pytest.raises(StreamingQueryException, match=r"\?\?\?"):
        [*stream.work_off(replace(detector, cells_per_batch=16), "test")]
    assert read_lease(lake.detector_lease) is None
    assert streams(detector) == []
    assert outcome(lake).cells == 16
    chunk.write_bytes(whole)
    [*stream.work_off(detector, "test")]
    assert outcome(lake) == undisturbed


def test_a_second_stream_is_refused_before_it_touches_anything(detector, lake, log):
    land(lake, log.upto(500), CHUNK_SIZE)
    with Lease(lake.detector_lease, "first"):
        for told in (stream.work_off(detector, "second"), stream.linger(detector, "second", 1, 1)):
            with pytest.raises(LakeBusy, match="first"):
                next(told)
    assert not lake.detector_checkpoint.exists()
    assert state.committed_cells(lake.table("pattern_state")) == 0


def figures(batches: list[MicroBatch]) -> list[tuple[int, int, int, int]]:
    return [(batch.first_cell, batch.last_cell, batch.chunks, batch.rows) for batch in batches]


def test_what_the_stream_tells(detector, lake, log, expected):
    land(lake, log, CHUNK_SIZE, cuts=[10, 20, 30, 3_000], is_final=True)
    batches = [*stream.work_off(replace(detector, cells_per_batch=16), "test")]
    halves = [log.upto(16 * CHUNK_SIZE), log]
    assert figures(batches) == [(0, 15, 19, len(halves[0].rows)), (16, 30, 16, len(log.rows) - len(halves[0].rows))]
    assert sum(batch.detections for batch in batches) == len(expected.detections)
    assert sum(batch.flips for batch in batches) == expected.flips
    assert [path.name for batch in batches for path in batch.files] == [*outcome(lake).files]

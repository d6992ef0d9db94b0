"""The detector as a whole, but for Spark: what it finds is a function of the log and the grid alone."""

from dataclasses import replace

import pytest
from deltalake.exceptions import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.catalog import Lake
from expectations.clock import frozen_clock
from expectations.landing import list_chunks
from spark_jobs.pattern_detector import outbox, state
from spark_jobs.pattern_detector.detector import Detector
from tests.support_naive.lakes import Outcome, outcome
from tests.support_naive.logs import NOW, SMALL, MadeUpLog, land, make_log
from tests.support_naive.plain_spark import PlainSpark
from tests.support_naive.recomputation import recompute

POINTS = ("evaluated", "outbox", "status", "state", "file_written", "file_entered")
CHUNK_SIZE = 40


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def die_at(point: str, nth: int = 1):
    """What dies when that point is passed for the n-th time."""
    left = [nth]

    def passed(name: str) -> None:
        left[0] -= name == point
        if name == point and left[0] == 0:
            raise Killed(point)

    return passed


@pytest.fixture(scope="module")
def log() -> MadeUpLog:
    return make_log(1_500, seed=11)


@pytest.fixture(scope="module")
def undisturbed(log, tmp_path_factory) -> Outcome:
    lake = Lake(tmp_path_factory.mktemp("undisturbed"))
    land(lake, log, CHUNK_SIZE, is_final=True)
    [*detector(lake).work_off()]
    return outcome(lake)


def detector(lake: Lake, cells_per_batch: int = 16, buckets: int = 4) -> Detector:
    return Detector(PlainSpark(), lake, buckets, frozen_clock(NOW), cells_per_batch=cells_per_batch, thresholds=SMALL)


def restart() -> None:
    """A new process knows nothing."""
    state.resident_bucket.cache_clear()


def test_the_log_has_plenty_of_everything(log, undisturbed):
    """Without that the other tests would say little."""
    expected = recompute(log.placed(CHUNK_SIZE), 38, SMALL)
    undisturbed.agrees_with(expected)
    raised = [action for _, _, action, _, _ in expected.detections]
    assert min(raised.count(action) for action in ("UPGRADE", "CHILD", "DEI-NEEDED")) >= 3
    assert len(undisturbed.files) >= 1
    assert expected.flips > len(expected.detections) + 20
    assert expected.holding() < {*expected.status}


@given(
    chunk_size=st.integers(20, 400),
    cells_per_batch=st.integers(1, 30),
    buckets=st.integers(1, 6),
    is_final=st.booleans(),
    cuts=st.sets(st.integers(1, 1_499), max_size=20),
    arrivals=st.lists(st.integers(1, 1_500), max_size=3),
    data=st.data(),
)
@settings(max_examples=8, deadline=None)
def test_equal_to_the_recomputation_however_the_work_is_cut(
    tmp_path_factory, log, chunk_size, cells_per_batch, buckets, is_final, cuts, arrivals, data
):
    """The log arrives bit by bit, ticks cut it anywhere, and processes come and go with other batch sizes."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    for entries in sorted(arrivals):
        land(lake, log.upto(entries), chunk_size, cuts | {*arrivals})
        [*detector(lake, data.draw(st.integers(1, 30)), buckets).work_off()]
        if data.draw(st.booleans()):
            restart()
    land(lake, log, chunk_size, cuts | {*arrivals}, is_final)
    batches = [*detector(lake, cells_per_batch, buckets).work_off()]
    cells = log.entries // chunk_size + (is_final and log.entries % chunk_size > 0)
    found = outcome(lake)
    assert found.cells == cells
    found.agrees_with(recompute(log.placed(chunk_size), cells, SMALL))
    assert all(batch.last_cell - batch.first_cell < cells_per_batch for batch in batches)
    assert [*detector(lake, buckets=buckets).work_off()] == []


@pytest.mark.parametrize(("point", "nth"), [*((point, 1) for point in POINTS), *((point, 3) for point in POINTS[:4])])
def test_killed_at_a_commit_point_and_run_again(tmp_path, log, undisturbed, point, nth):
    """The next process may take larger or smaller bites."""
    for cells_per_batch in (5, 50):
        restart()
        lake = Lake(tmp_path / f"{cells_per_batch}")
        land(lake, log, CHUNK_SIZE, is_final=True)
        dying = replace(detector(lake, cells_per_batch=7), passed=die_at(point, nth))
        with pytest.raises(Killed):
            [*dying.work_off()]
        restart()
        [*detector(lake, cells_per_batch).work_off()]
        assert outcome(lake) == undisturbed


@given(st.lists(st.tuples(st.sampled_from(POINTS), st.integers(1, 4), st.integers(1, 9)), max_size=6))
@settings(max_examples=6, deadline=None)
def test_killed_again_and_again(tmp_path_factory, log, undisturbed, deaths):
    """With workers that survive their driver, and so hold what was never committed."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    land(lake, log, CHUNK_SIZE, is_final=True)
    for point, nth, cells_per_batch in deaths:
        try:
            [*replace(detector(lake, cells_per_batch), passed=die_at(point, nth)).work_off()]
        except Killed:
            continue
    [*detector(lake).work_off()]
    assert outcome(lake) == undisturbed


def test_a_log_that_is_not_final_keeps_its_last_cell_waiting(tmp_path, log):
    lake = Lake(tmp_path)
    land(lake, log.upto(90), CHUNK_SIZE)
    assert [batch.last_cell for batch in detector(lake).work_off()] == [1]
    land(lake, log.upto(100), CHUNK_SIZE, cuts=[90])
    assert detector(lake).work_once() is None
    land(lake, log.upto(100), CHUNK_SIZE, is_final=True)
    assert detector(lake).work_once().last_cell == 2
    assert detector(lake).work_once() is None


def test_what_a_micro_batch_tells_of_itself(tmp_path, log):
    lake = Lake(tmp_path)
    land(lake, log.upto(400), CHUNK_SIZE, cuts=[10, 50, 55], is_final=True)
    batches = [*detector(lake, cells_per_batch=4).work_off()]
    assert [(batch.first_cell, batch.last_cell, batch.chunks) for batch in batches] == [(0, 3, 7), (4, 7, 4), (8, 9, 2)]
    assert sum(batch.rows for batch in batches) == len(log.upto(400).rows)
    found, expected = outcome(lake), recompute(log.placed(CHUNK_SIZE), 10, SMALL)
    assert sum(batch.detections for batch in batches) == len(found.detections)
    assert sum(batch.flips for batch in batches) == expected.flips
    assert [path.name for batch in batches for path in batch.files] == [row["name"] for row in found.ledger]
    for batch in batches:
        assert batch.committed_at == NOW
        assert batch.lag_s == (NOW - batch.landed_at).total_seconds()


def test_chunks_may_be_archived_as_soon_as_they_are_committed(tmp_path, log):
    """The housekeeping does not wait until the detector has said what it did."""
    lake = Lake(tmp_path)
    land(lake, log.upto(400), CHUNK_SIZE)

    def archive(point: str) -> None:
        if point == "state":
            for chunk in list_chunks(lake.landing):
                if chunk.cell(CHUNK_SIZE) < state.committed_cells(lake.table("pattern_state")):
                    (lake.landing / chunk.name).unlink()

    batches = [*replace(detector(lake, cells_per_batch=3), passed=archive).work_off()]
    assert [batch.last_cell for batch in batches] == [2, 5, 8, 9]
    assert list_chunks(lake.landing) == []


@pytest.mark.parametrize("step", ["store_status", "store_detections", "write_files"])
def test_a_commit_that_collides_with_housekeeping_is_done_again(tmp_path, log, undisturbed, monkeypatch, step):
    """Delta says so after the fact; all that the micro-batch has stored by then is stored once."""
    lake, calls, real = Lake(tmp_path), [], getattr(outbox, step)

    def collides(*arguments, **options):
        calls.append(step)
        if len(calls) % 3 == 1:
            real(*arguments, **options)
            raise CommitFailedError("a concurrent transaction added new data")
        return real(*arguments, **options)

    monkeypatch.setattr(outbox, step, collides)
    land(lake, log, CHUNK_SIZE, is_final=True)
    [*detector(lake, cells_per_batch=7).work_off()]
    assert outcome(lake) == undisturbed
    assert len(calls) > 7


def test_a_commit_that_never_goes_through_is_an_error(tmp_path, log, monkeypatch):
    def collides(*_):
        raise CommitFailedError("a concurrent transaction added new data")

    monkeypatch.setattr(outbox, "store_status", collides)
    land(Lake(tmp_path), log, CHUNK_SIZE)
    with pytest.raises(CommitFailedError):
        detector(Lake(tmp_path)).work_once()


def test_a_file_that_a_killed_run_left_due_is_written_without_a_new_cell(tmp_path, log):
    lake = Lake(tmp_path)
    land(lake, log, CHUNK_SIZE, is_final=True)
    with pytest.raises(Killed):
        [*replace(detector(lake, cells_per_batch=100), passed=die_at("file_written")).work_off()]
    assert state.committed_cells(lake.table("pattern_state")) == 38
    assert outbox.files_due(lake)
    assert detector(lake).work_once() is None
    assert not outbox.files_due(lake)
    assert len(outcome(lake).files) == 1

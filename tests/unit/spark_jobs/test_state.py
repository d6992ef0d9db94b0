"""The detector's state: what is written, committed, read back and compacted."""

import json
import shutil
from pathlib import Path

import pytest

from expectations import delta
from expectations.catalog import Lake
from expectations.clock import frozen_clock
from expectations.errors import LakeMismatch
from spark_jobs.pattern_detector import state
from spark_jobs.pattern_detector.detector import Detector
from spark_jobs.pattern_detector.patterns import Bucket
from spark_jobs.pattern_detector.state import BucketSnapshot, ResidentBucket
from tests.support_naive.lakes import outcome
from tests.support_naive.logs import NOW, SMALL, MadeUpLog, land, make_log
from tests.support_naive.plain_spark import PlainSpark
from tests.support_naive.recomputation import recompute

BUCKETS, CHUNK_SIZE = 3, 25


@pytest.fixture(scope="module")
def log() -> MadeUpLog:
    return make_log(600, seed=3)


@pytest.fixture
def lake(tmp_path, log) -> Lake:
    lake = Lake(tmp_path / "lake")
    land(lake, log, CHUNK_SIZE)
    return lake


def detector(lake: Lake, cells_per_batch: int = 4) -> Detector:
    return Detector(PlainSpark(), lake, BUCKETS, frozen_clock(NOW), cells_per_batch=cells_per_batch, thresholds=SMALL)


def snapshots(lake: Lake) -> list[BucketSnapshot]:
    path = lake.table("pattern_state")
    return state.snapshots(state.open_state(path, BUCKETS), path, BUCKETS)


def fresh(snapshot: BucketSnapshot) -> Bucket:
    return ResidentBucket().catch_up(snapshot)


def totals(bucket: Bucket) -> list[tuple[object, ...]]:
    """All that is remembered of each pair, in order of merchant and customer."""
    columns = (bucket.cell, bucket.transactions, bucket.amount_sum, bucket.weight_sum, bucket.gender)
    flags = (bucket.raised, bucket.holding, bucket.females, bucket.males)
    values = zip(*(array[: bucket.size].tolist() for array in (*columns, *flags)), strict=True)
    return sorted((*pair, *row) for pair, row in zip(bucket.pairs, values, strict=True))


def test_a_table_keeps_its_number_of_buckets(tmp_path):
    state.open_state(tmp_path / "state", 4)
    state.open_state(tmp_path / "state", 4)
    with pytest.raises(LakeMismatch, match=r"4 buckets, not 5 .* TOLLGATE_DETECTOR_BUCKETS=4"):
        state.open_state(tmp_path / "state", 5)


def test_a_lake_without_state_has_no_cells_and_no_rows(tmp_path):
    assert state.committed_cells(tmp_path / "state") == 0
    assert state.current_state(tmp_path / "state").num_rows == 0


@pytest.mark.parametrize("cells_per_batch", [1, 5, 100])
def test_a_bucket_is_rebuilt_from_files(lake, log, cells_per_batch):
    [*detector(lake, cells_per_batch).work_off()]
    found = [row for snapshot in snapshots(lake) for row in totals(fresh(snapshot))]
    expected = recompute(log.placed(CHUNK_SIZE), 24, SMALL).state
    codes = {None: 0, "F": 1, "M": 2, "other": 3}
    assert [row[:9] for row in sorted(found)] == [
        (
            *(row[name] for name in ("merchant_id", "customer_id", "cell", "transactions", "amount_sum", "weight_sum")),
            *(codes[row["gender"]], row["raised"], row["holding"]),
        )
        for row in expected
    ]
    for merchant, customer, *_, females, males in found:
        seen = [r["gender"] for r in expected if r["merchant_id"] == merchant and not customer]
        assert (females, males) == (seen.count("F"), seen.count("M"))


def test_the_current_state_is_the_last_row_of_each_pair(lake, log):
    [*detector(lake).work_off()]
    rows = state.current_state(lake.table("pattern_state")).drop_columns("bucket").to_pylist()
    assert rows == recompute(log.placed(CHUNK_SIZE), 24, SMALL).state


def test_catching_up_reads_only_what_is_newer(lake):
    worker = detector(lake)
    worker.work_once()
    early = {snapshot.bucket: ResidentBucket() for snapshot in snapshots(lake)}
    for snapshot in snapshots(lake):
        early[snapshot.bucket].catch_up(snapshot)
        early[snapshot.bucket].cells = snapshot.cells
    old = [path for snapshot in snapshots(lake) for path in snapshot.files]
    [*worker.work_off()]
    expected = [totals(fresh(snapshot)) for snapshot in snapshots(lake)]
    for file in old:
        Path(lake.table("pattern_state"), file.path).unlink()
    assert [totals(early[snapshot.bucket].catch_up(snapshot)) for snapshot in snapshots(lake)] == expected


def test_a_bucket_that_is_ahead_or_was_left_half_changed_starts_anew(lake):
    """Ahead: what it folded in was never committed. Half changed: its worker failed on the way."""
    worker = detector(lake)
    worker.work_once()
    committed = snapshots(lake)
    expected = [totals(fresh(snapshot)) for snapshot in committed]
    worker.work_once()
    for cells in (8, None):
        astray = [ResidentBucket(fresh(snapshot), cells) for snapshot in snapshots(lake)]
        assert [
            totals(resident.catch_up(snapshot)) for resident, snapshot in zip(astray, committed, strict=True)
        ] == expected


def test_a_bucket_counts_as_half_changed_until_its_rows_are_folded_in(lake):
    [*detector(lake).work_off()]
    resident = ResidentBucket()
    resident.catch_up(snapshots(lake)[0])
    assert resident.cells is None


def commits(table: Path) -> list[list[dict[str, dict]]]:
    """The actions of each commit of a Delta table, from its log."""
    found = sorted((table / "_delta_log").glob("*.json"))
    return [[json.loads(line) for line in path.read_text().splitlines()] for path in found]


def test_compaction_replaces_files_in_the_commit_that_goes_on(lake, log, monkeypatch):
    """And now and then all a bucket has is in one file."""
    monkeypatch.setattr(state, "FILES_PER_BUCKET", 3)
    batches = [*detector(lake, cells_per_batch=1).work_off()]
    table = lake.table("pattern_state")
    after_creation = commits(table)[1:]
    assert len(after_creation) == len(batches) == 24
    live: dict[str, set[str]] = {}
    compacted = 0
    for cell, actions in enumerate(after_creation):
        (txn,) = [action["txn"] for action in actions if "txn" in action]
        assert (txn["appId"], txn["version"]) == (state.APP, cell + 1)
        added = {
            action["add"]["partitionValues"]["bucket"]: action["add"]["path"] for action in actions if "add" in action
        }
        removed = [action["remove"] for action in actions if "remove" in action]
        for bucket in {action["partitionValues"]["bucket"] for action in removed}:
            assert {each["path"] for each in removed if each["partitionValues"]["bucket"] == bucket} == live[bucket]
            live[bucket] = set()
            compacted += 1
        for bucket, path in added.items():
            live.setdefault(bucket, set()).add(path)
    assert compacted > 3
    assert max(len(snapshot.files) for snapshot in snapshots(lake)) <= 3 + 5 * BUCKETS
    assert outcome(lake).state == recompute(log.placed(CHUNK_SIZE), 24, SMALL).state
    state.resident_bucket.cache_clear()
    assert [row for s in snapshots(lake) for row in totals(fresh(s))]


def test_a_table_made_anew_at_the_same_place_is_another_one(lake):
    """What a worker holds of the old one must not leak into it."""
    [*detector(lake).work_off()]
    first = outcome(lake)
    shutil.rmtree(lake.root / "patterns")
    shutil.rmtree(lake.detection_files)
    [*detector(lake, cells_per_batch=3).work_off()]
    assert outcome(lake) == first


def test_cells_without_a_row_are_committed_all_the_same(tmp_path, log):
    """All their entries went to quarantine."""
    lake = Lake(tmp_path / "lake")
    land(lake, MadeUpLog(log.rows.slice(0, 0), log.entry[:0], 50), CHUNK_SIZE)
    (batch,) = detector(lake).work_off()
    assert (batch.first_cell, batch.last_cell, batch.detections) == (0, 1, 0)
    assert state.committed_cells(lake.table("pattern_state")) == 2
    land(lake, log, CHUNK_SIZE)
    assert next(detector(lake).work_off()).first_cell == 2


def test_the_detector_reads_its_state_behind_a_checkpoint_of_the_log(tmp_path, log):
    """Delta folds its log into checkpoints; the files' cells and the position must survive that."""
    lake = Lake(tmp_path / "lake")
    land(lake, log, 5)
    worker, table = detector(lake, cells_per_batch=1), lake.table("pattern_state")
    for _ in range(30):
        worker.work_once()
    delta.open_table(table).create_checkpoint()
    for path in sorted((table / "_delta_log").glob("*.json"))[:-1]:
        path.unlink()
    assert state.committed_cells(table) == 30
    state.resident_bucket.cache_clear()
    [*detector(lake, cells_per_batch=50).work_off()]
    assert outcome(lake).state == recompute(log.placed(5), 120, SMALL).state

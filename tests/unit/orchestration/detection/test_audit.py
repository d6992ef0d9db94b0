"""The checks of the detection flow: they pass on what the detector leaves at any moment, and see what is wrong."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from expectations import delta
from expectations.catalog import Lake
from expectations.clock import frozen_clock
from expectations.landing import list_chunks
from expectations.tables import DETECTION_FILES, DETECTIONS, PATTERN_STATUS, PAYMENTS_RAW_BRONZE
from expectations.thresholds import DETECTION_LAG_SECONDS
from orchestration.detection import audit
from orchestration.outcomes import Outcome
from spark_jobs.pattern_detector import outbox, state
from spark_jobs.pattern_detector.detector import Detector
from tests.support_naive.logs import NOW, SMALL, SOURCE, MadeUpLog, land, make_log
from tests.support_naive.plain_spark import PlainSpark

CHUNK_SIZE = 40
FROZEN = frozen_clock(NOW)
POINTS = ("evaluated", "outbox", "status", "state", "file_written", "file_entered")


@pytest.fixture(scope="module")
def log() -> MadeUpLog:
    return make_log(1_500, seed=11)


@pytest.fixture
def lake(tmp_path, log) -> Lake:
    lake = Lake(tmp_path / "lake")
    arrive(lake, log)
    return lake


@pytest.fixture
def worked_off(lake) -> Lake:
    [*detector(lake).work_off()]
    return lake


def arrive(lake: Lake, log: MadeUpLog) -> None:
    """What the chunker leaves: chunk files and bronze."""
    land(lake, log, CHUNK_SIZE)
    size = len(log.entry)
    provenance = {
        "_ingested_at": pa.array([NOW] * size, pa.timestamp("us", tz="UTC")),
        "_source_file": pa.array([SOURCE] * size),
        "_row_number": pa.array(log.entry, pa.int64()),
        "_chunk": pa.array(log.entry // CHUNK_SIZE, pa.int64()),
    }
    columns = [*(column.combine_chunks() for column in log.rows.columns), *provenance.values()]
    append(lake, PAYMENTS_RAW_BRONZE, pa.Table.from_arrays(columns, schema=PAYMENTS_RAW_BRONZE.arrow()))


def append(lake: Lake, schema, rows: pa.Table | list[dict[str, object]]) -> None:
    if isinstance(rows, list):
        rows = pa.Table.from_pylist(rows, schema.arrow())
    write_deltalake(delta.ensure_table(lake.table(schema.name), schema), rows, mode="append")


def detector(lake: Lake, cells_per_batch: int = 12) -> Detector:
    return Detector(PlainSpark(), lake, 3, FROZEN, cells_per_batch=cells_per_batch, thresholds=SMALL)


def failed(outcomes: list[Outcome]) -> set[str]:
    return {outcome.check for outcome in outcomes if not outcome.passed}


def by_check(outcomes: list[Outcome]) -> dict[str, Outcome]:
    return {outcome.check: outcome for outcome in outcomes}


def soon(lake: Lake):
    """A clock that shows the moment at which the last chunk landed."""
    landed = (lake.landing / list_chunks(lake.landing)[-1].name).stat().st_mtime
    return frozen_clock(datetime.fromtimestamp(landed, NOW.tzinfo))


def test_an_empty_lake_passes(tmp_path):
    outcomes = audit.check_lake(Lake(tmp_path), FROZEN)
    assert failed(outcomes) == set()
    assert [(o.asset, o.check) for o in outcomes] == [(c.asset, c.check) for c in audit.CHECKS]


def test_a_lake_passes_before_and_after_the_work(lake, log):
    assert failed(audit.check_lake(lake, soon(lake))) == set()
    [*detector(lake).work_off()]
    outcomes = audit.check_lake(lake, soon(lake))
    assert failed(outcomes) == set()
    figures = {check: dict(outcome.figures) for check, outcome in by_check(outcomes).items()}
    rows = int(np.searchsorted(log.entry, 37 * CHUNK_SIZE))
    assert figures["rows_conserved"] == {"cells": 37, "rows_in_state": rows, "rows_in_bronze": rows}
    found = outbox.read_detections(lake)["action_type"].to_pylist()
    assert figures["raised_once"] == {action: found.count(action) for action in set(found)}
    assert figures["files_of_exactly_fifty"] == {"files": 1, "written": 50, "waiting": len(found) - 50}
    assert figures["lag"]["waiting_cells"] == 0


def test_a_micro_batch_passes_whatever_the_next_one_has_stored_already(lake):
    """The stream does not wait for its checks."""
    batches, verdicts = [], []

    def look_back(point: str) -> None:
        if batches and point in POINTS:
            verdicts.append((point, failed(audit.check_micro_batch(lake, prompt(batches[-1])))))

    def prompt(batch):
        return replace(batch, landed_at=batch.committed_at)

    for batch in replace(detector(lake, cells_per_batch=19), passed=look_back).work_off():
        assert failed(audit.check_micro_batch(lake, prompt(batch))) == set()
        batches.append(batch)
    assert {point for point, _ in verdicts} == {*POINTS}
    assert [verdict for verdict in verdicts if verdict[1]] == []


def test_a_micro_batch_tells_every_check_and_its_own_rows(lake):
    batch = detector(lake).work_once()
    outcomes = audit.check_micro_batch(lake, batch)
    assert {(o.asset, o.check) for o in outcomes} == {(c.asset, c.check) for c in audit.CHECKS}
    assert by_check(outcomes)["rows_conserved"].figures["rows_in_bronze"] == batch.rows
    assert failed(audit.check_micro_batch(lake, replace(batch, rows=batch.rows - 1))) >= {"rows_conserved"}


def test_lost_and_doubled_rows_are_seen(worked_off, log):
    rows = delta.read_rows(worked_off.table("payments_raw_bronze"), PAYMENTS_RAW_BRONZE, ["_row_number"])
    append(worked_off, PAYMENTS_RAW_BRONZE, rows.slice(0, 1))
    assert failed(audit.check_lake(worked_off, FROZEN)) == {"rows_conserved"}


def test_bronze_may_be_ahead_of_the_state(lake):
    detector(lake).work_once()
    outcome = by_check(audit.check_lake(lake, soon(lake)))["rows_conserved"]
    assert outcome.passed
    assert outcome.figures["cells"] == 12


def test_a_changed_weight_is_seen(worked_off):
    """The same number of rows, and still not the same."""
    path = worked_off.table("payments_raw_bronze")
    delta.open_table(path).update(updates={"weight": "weight + 1"}, predicate="_row_number = 3")
    assert failed(audit.check_lake(worked_off, FROZEN)) == {"rows_conserved"}


A_DETECTION = {
    "sequence": 0, "cell": 0, "pattern_id": "PatId1", "action_type": "UPGRADE", "customer_id": "nobody",
    "merchant_id": "m", "y_started_at": NOW, "detected_at": NOW,
}  # fmt: skip


def test_a_status_without_a_detection_is_seen_and_the_reverse(worked_off):
    status = {"pattern_id": "PatId1", "customer_id": "nobody", "merchant_id": "m", "holds": True, "cell": 3}
    append(worked_off, PATTERN_STATUS, [status])
    assert failed(audit.check_lake(worked_off, FROZEN)) == {"agrees_with_detections"}
    append(worked_off, DETECTIONS, [A_DETECTION | {"sequence": len(outbox.read_detections(worked_off))}])
    assert failed(audit.check_lake(worked_off, FROZEN)) == set()
    delta.open_table(worked_off.table("pattern_status")).delete("customer_id = 'nobody'")
    assert failed(audit.check_lake(worked_off, FROZEN)) == {"agrees_with_detections"}


def test_a_detection_raised_twice_is_seen(worked_off):
    found = outbox.read_detections(worked_off).to_pylist()
    append(worked_off, DETECTIONS, [found[7] | {"sequence": len(found)}])
    assert failed(audit.check_lake(worked_off, FROZEN)) == {"raised_once"}


def test_a_gap_in_the_sequence_is_seen(worked_off):
    delta.open_table(worked_off.table("detections")).delete("sequence = 3")
    assert failed(audit.check_lake(worked_off, FROZEN)) >= {"raised_once"}


def test_a_cell_that_waits_too_long_is_seen(lake):
    detector(lake, cells_per_batch=30).work_once()
    clock = soon(lake)
    late = frozen_clock(clock() + timedelta(seconds=DETECTION_LAG_SECONDS + 5))
    assert by_check(audit.check_lake(lake, clock))["lag"].figures["waiting_cells"] == 7
    assert failed(audit.check_lake(lake, clock)) == set()
    assert failed(audit.check_lake(lake, late)) == {"lag"}
    [*detector(lake).work_off()]
    assert failed(audit.check_lake(lake, late)) == set()


def test_a_slow_micro_batch_fails_the_lag_alone(lake):
    batch = detector(lake).work_once()
    slow = replace(batch, landed_at=batch.committed_at - timedelta(seconds=DETECTION_LAG_SECONDS, milliseconds=1))
    assert failed(audit.check_micro_batch(lake, slow)) == {"lag"}
    assert not audit.DETECTION_LAG.is_blocking


def test_a_file_that_was_tampered_with_is_seen_but_one_that_was_fetched_is_not(worked_off):
    (path,) = worked_off.detection_files.glob("*.csv")
    content = path.read_bytes()
    path.write_bytes(content + content.splitlines(keepends=True)[-1])
    assert failed(audit.check_lake(worked_off, FROZEN)) == {"files_of_exactly_fifty"}
    path.write_bytes(content)
    assert failed(audit.check_lake(worked_off, FROZEN)) == set()
    path.unlink()
    assert failed(audit.check_lake(worked_off, FROZEN)) == set()


def test_a_short_file_must_be_called_partial(worked_off):
    waiting = len(outbox.read_detections(worked_off)) - 50
    (path,) = outbox.write_files_alone(worked_off, drain=True)
    assert failed(audit.check_lake(worked_off, FROZEN)) == set()
    ledger = delta.open_table(worked_off.table("detection_files"))
    ledger.update(new_values={"is_partial": False}, predicate=f"last_sequence = {49 + waiting}")
    outcome = by_check(audit.check_lake(worked_off, FROZEN))["files_of_exactly_fifty"]
    assert not outcome.passed
    assert path.name in outcome.summary


def test_files_that_are_due_are_missed(worked_off):
    """Someone emptied the ledger."""
    delta.open_table(worked_off.table("detection_files")).delete()
    assert failed(audit.check_lake(worked_off, FROZEN)) == {"files_of_exactly_fifty"}


def test_a_ledger_of_more_than_there_is_is_seen(worked_off):
    entry = {"file_sequence": 2, "name": "x", "first_sequence": 50, "last_sequence": 99, "is_partial": False}
    assert len(outbox.read_detections(worked_off)) < 100
    append(worked_off, DETECTION_FILES, [entry])
    assert failed(audit.check_lake(worked_off, FROZEN)) == {"files_of_exactly_fifty"}


def test_the_lake_is_judged_between_micro_batches(lake):
    """What a killed detector left half done is no fault: the next one completes it."""

    class KilledError(BaseException):
        pass

    for point in ("evaluated", "outbox", "status"):

        def die(name: str, point: str = point) -> None:
            if name == point:
                raise KilledError

        with pytest.raises(KilledError):
            replace(detector(lake), passed=die).work_once()
        state.resident_bucket.cache_clear()
        assert failed(audit.check_lake(lake, soon(lake))) == set()

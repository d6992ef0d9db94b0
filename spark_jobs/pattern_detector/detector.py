"""Works off complete grid cells: evaluates them on Spark, and commits each micro-batch at one point.

Spark says when something new has landed; what is to be done follows from the landing zone and from the number of
cells that the state table holds. So a lost checkpoint, another batch size or a restart changes nothing.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import RemoveAction
from pyspark.sql import DataFrame, SparkSession
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from expectations import delta
from expectations.catalog import Lake
from expectations.clock import Clock
from expectations.landing import Chunk
from expectations.locks import detector_alone
from expectations.places import Location, absolute, modified_at
from expectations.tables import PATTERN_STATE
from expectations.thresholds import PATTERNS, PatternThresholds
from spark_jobs import connector
from spark_jobs.pattern_detector import outbox, state
from spark_jobs.pattern_detector.cells import waiting_cells
from spark_jobs.pattern_detector.worker import (
    PIECES_DDL,
    REPORT_DDL,
    WITH_STATE_DDL,
    bucket_evaluator,
    chunk_reader,
    handing_evaluator,
    unpack_flips,
    unpack_states,
    unpack_written,
)

CELLS_PER_BATCH = 64

_ATTEMPTS = 5


@dataclass(frozen=True)
class MicroBatch:
    """What one micro-batch did.

    Attributes:
        first_cell, last_cell: the cells it evaluated, both included.
        chunks: how many chunk files they were made of.
        rows: how many rows they held.
        detections: how many were raised for the first time.
        flips: how many patterns began or ceased to hold.
        files: detection files written.
        landed_at: when the last of its chunks became visible.
        committed_at: when the state was committed.
        duration_s: wall time.
    """

    first_cell: int
    last_cell: int
    chunks: int
    rows: int
    detections: int
    flips: int
    files: tuple[Location, ...]
    landed_at: datetime
    committed_at: datetime
    duration_s: float

    @property
    def lag_s(self) -> float:
        """From the visible chunk to the committed detections."""
        return (self.committed_at - self.landed_at).total_seconds()


@dataclass
class Detector:
    """The detector of one lake.

    Attributes:
        buckets: over how many buckets merchants are spread; fixed for a lake.
        clock: the time of detections.
        cells_per_batch: how many cells one commit covers at most.
        passed: told each commit point by name; tests die there.
        uses_connector: the state's rows are written by Spark's executors and committed by the Delta connector.
    """

    spark: SparkSession
    lake: Lake
    buckets: int
    clock: Clock
    cells_per_batch: int = CELLS_PER_BATCH
    thresholds: PatternThresholds = PATTERNS
    passed: Callable[[str], None] = field(default=lambda point: None)
    uses_connector: bool = False

    def work_off(self) -> Iterator[MicroBatch]:
        """Evaluates every complete cell that is not committed yet, one micro-batch after the other."""
        while batch := self.work_once():
            yield batch

    def work_once(self, begins: Callable[[], None] = lambda: None) -> MicroBatch | None:
        """The next micro-batch, or None where no complete cell waits. One process at a time does this.

        Housekeeping may rewrite a table meanwhile, so that a commit fails. Every step before the commit point is
        idempotent by key, so the micro-batch is done again.

        Args:
            begins: called where a cell waits, before it is evaluated.
        """
        collisions = retry_if_exception_type(CommitFailedError)
        return Retrying(retry=collisions, stop=stop_after_attempt(_ATTEMPTS), reraise=True)(self._work_once, begins)

    def _work_once(self, begins: Callable[[], None]) -> MicroBatch | None:
        with detector_alone(self.lake):
            files = outbox.write_files(self.lake, passed=self.passed)
            table = state.open_state(self.lake.table("pattern_state"), self.buckets)
            cells = delta.position(table, state.APP)
            waiting = waiting_cells(self.lake, cells)[: self.cells_per_batch]
            if not waiting:
                return None
            begins()
            return self._process(table, cells, waiting, files)

    def _process(
        self, table: delta.DeltaTable, first: int, waiting: list[list[Chunk]], files: list[Location]
    ) -> MicroBatch:
        started, started_at = time.perf_counter(), self.clock()
        upto, chunks = first + len(waiting), [chunk for cell in waiting for chunk in cell]
        landed = self._landed_at(chunks[-1])
        evaluated = self._evaluate(table, self._pieces(first, waiting), upto)
        flips = unpack_flips(evaluated.report)
        rows = sum(evaluated.report["rows"].to_pylist())
        self.passed("evaluated")
        detections = outbox.store_detections(self.lake, flips, upto, started_at, self.clock())
        self.passed("outbox")
        outbox.store_status(self.lake, flips)
        self.passed("status")
        evaluated.commit()
        committed_at = self.clock()
        self.passed("state")
        files += outbox.write_files(self.lake, passed=self.passed)
        return MicroBatch(
            first_cell=first,
            last_cell=upto - 1,
            chunks=len(chunks),
            rows=rows,
            detections=detections,
            flips=len(flips),
            files=tuple(files),
            landed_at=landed,
            committed_at=committed_at,
            duration_s=time.perf_counter() - started,
        )

    def _landed_at(self, chunk: Chunk) -> datetime:
        """When a chunk became visible. To be asked before it is committed: after that it may be archived any time."""
        return modified_at(self.lake.landing / chunk.name)

    def _pieces(self, first_cell: int, cells: Sequence[Sequence[Chunk]]) -> DataFrame:
        """What the chunks of some cells hold, by bucket; workers read the files, the driver only names them."""
        chunks = [(number, chunk) for number, cell in enumerate(cells, first_cell) for chunk in cell]
        files = {
            "path": [absolute(self.lake.landing / chunk.name) for _, chunk in chunks],
            "cell": [number for number, _ in chunks],
            "first": [chunk.first for _, chunk in chunks],
        }
        return self.spark.createDataFrame(pa.table(files)).mapInArrow(chunk_reader(self.buckets), PIECES_DDL)

    def _evaluate(self, table: delta.DeltaTable, pieces: DataFrame, upto: int) -> "_Evaluated":
        found = state.snapshots(table, self.lake.table("pattern_state"), self.buckets)
        snapshots = {snapshot.bucket: snapshot for snapshot in found}
        if self.uses_connector:
            return self._hand_over(snapshots, pieces, upto)
        evaluate = bucket_evaluator(snapshots, upto, self.thresholds)
        report = pieces.groupBy("bucket").applyInArrow(evaluate, REPORT_DDL).toArrow()
        return _Evaluated(report, lambda: self._commit(table, unpack_written(report), upto))

    def _hand_over(self, snapshots: dict[int, state.BucketSnapshot], pieces: DataFrame, upto: int) -> "_Evaluated":
        """Has Spark write the state: a commit either appends, or replaces every bucket that it touches."""
        is_whole = any(snapshot.wants_compaction for snapshot in snapshots.values())
        evaluate = handing_evaluator(snapshots, upto, self.thresholds, is_whole)
        evaluated = pieces.groupBy("bucket").applyInArrow(evaluate, WITH_STATE_DDL).persist()

        def commit() -> None:
            rows = evaluated.select("bucket", "state").mapInArrow(unpack_states, PATTERN_STATE.spark())
            write = connector.replace_partitions_once if is_whole else connector.append_once
            write(rows, self.lake.table("pattern_state"), state.APP, upto)
            evaluated.unpersist()

        return _Evaluated(evaluated.drop("state").toArrow(), commit)

    def _commit(self, table: delta.DeltaTable, written: Sequence[state.WrittenState], upto: int) -> None:
        """The commit point: the state's new files, and how many cells they bring it to."""
        now = time.time_ns() // 1_000_000
        removed = [
            RemoveAction(path, True, now, partition_values={"bucket": str(w.bucket)})
            for w in written
            for path in w.replaces
        ]
        table.create_write_transaction(
            [w.add_action() for w in written] + removed,
            mode="append",
            schema=table.schema(),
            partition_by=list(PATTERN_STATE.partition_by),
            commit_properties=delta.exactly_once(state.APP, upto),
        )


@dataclass(frozen=True)
class _Evaluated:
    """What a micro-batch found, of which the state is not committed yet.

    Attributes:
        report: a few lines per bucket, with the columns `bucket, rows, flips`.
        commit: the commit point: brings the state, and its position, to the end of the micro-batch.
    """

    report: pa.Table
    commit: Callable[[], None]

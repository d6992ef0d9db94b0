"""The detector as a Structured Streaming query over the landing zone: until it is worked off, or lingering."""

import contextlib
import queue
import time
from collections.abc import Callable, Iterator

from pyspark.sql import DataFrame
from pyspark.sql.streaming import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from expectations.offset import read_offset
from expectations.payments import PAYMENT
from spark_jobs.pattern_detector.detector import Detector, MicroBatch
from spark_jobs.pattern_detector.lease import Lease

TRIGGER_INTERVAL = "200 milliseconds"
"""How often Spark looks for new chunks; an idle query that looked all the time would keep a core busy."""

_POLL_SECONDS = 1.0


def work_off(detector: Detector, owner: str) -> Iterator[MicroBatch]:
    """Works off what has landed, and returns.

    Raises:
        LakeBusy: another stream works on the lake.
    """
    with Lease(detector.lake.detector_lease, owner) as lease:
        batches: queue.Queue[MicroBatch] = queue.Queue()
        query = _writer(detector, lease, batches.put).trigger(availableNow=True).start()
        while query.isActive or not batches.empty():
            yield from _next(batches, lease)
        _raise_failure(query)
        yield from detector.work_off()


def linger(
    detector: Detector,
    owner: str,
    idle_seconds: float,
    max_life_seconds: float,
    elapsed: Callable[[], float] = time.monotonic,
) -> Iterator[MicroBatch]:
    """Works micro-batch after micro-batch in a warm session; ends when idle for long, or old.

    Raises:
        LakeBusy: another stream works on the lake.
    """
    with Lease(detector.lake.detector_lease, owner) as lease:
        batches: queue.Queue[MicroBatch] = queue.Queue()
        query = _writer(detector, lease, batches.put).trigger(processingTime=TRIGGER_INTERVAL).start()
        try:
            born = busy = elapsed()
            while elapsed() - busy < idle_seconds and elapsed() - born < max_life_seconds:
                for batch in _next(batches, lease):
                    busy = elapsed()
                    yield batch
                _raise_failure(query)
                yield from _last_cell(detector)
        finally:
            query.stop()


def _writer(detector: Detector, lease: Lease, report: Callable[[MicroBatch], None]) -> DataStreamWriter:
    """The query. Its rows are never read: that there are some says that it is time to look.

    What a micro-batch covers follows from the landing zone and the committed state alone, so that neither the
    order in which Spark lists files nor the loss of its checkpoint can skip or repeat anything. Spark therefore
    need not remember old files either (maxFileAge), and its checkpoint stays small.
    """

    def on_batch(_: DataFrame, __: int) -> None:
        for batch in detector.work_off():
            lease.renew()
            report(batch)

    detector.lake.landing.mkdir(parents=True, exist_ok=True)
    landed = (
        detector.spark.readStream.schema(PAYMENT.spark())
        .option("maxFilesPerTrigger", 10_000)
        .option("maxFileAge", "1h")
        .option("pathGlobFilter", "chunk_*.csv")
        .csv(str(detector.lake.landing))
    )
    return landed.writeStream.foreachBatch(on_batch).option(
        "checkpointLocation", str(detector.lake.detector_checkpoint)
    )


def _next(batches: queue.Queue, lease: Lease) -> Iterator[MicroBatch]:
    """The next micro-batch if one comes in time; either way the lease lives on."""
    with contextlib.suppress(queue.Empty):
        yield batches.get(timeout=_POLL_SECONDS)
    lease.renew()


def _last_cell(detector: Detector) -> Iterator[MicroBatch]:
    """The shorter last cell of a log declared final: no file lands that would wake the query."""
    offset = read_offset(detector.lake.offset_file)
    if offset is not None and offset.is_final:
        yield from detector.work_off()


def _raise_failure(query: StreamingQuery) -> None:
    error = query.exception()
    if error is not None:
        raise error

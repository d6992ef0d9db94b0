"""The detector as a Structured Streaming query over the landing zone: until it is worked off, or lingering."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

from pyspark.sql import DataFrame
from pyspark.sql.streaming import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from expectations.lease import Lease
from expectations.payments import PAYMENT
from expectations.places import is_local, make_folder, read_versioned
from spark_jobs.pattern_detector.detector import Detector, MicroBatch

TRIGGER_INTERVAL = "200 milliseconds"
"""How often Spark looks for new chunks; an idle query that looked all the time would keep a core busy."""

_POLL_SECONDS = 1.0


def work_off(detector: Detector, owner: str) -> Iterator[MicroBatch]:
    """Works off what has landed, and returns.

    Raises:
        LakeBusy: another stream works on the lake.
    """
    with Lease(detector.lake.detector_lease, owner) as lease:
        work = _Work(detector, lease)
        query = _writer(detector, work.on_batch).trigger(availableNow=True).start()
        with _stopping(work, query):
            while query.isActive or work.has_reports():
                yield from work.reports()
            _raise_failure(query)
            while work.look_again():
                yield from work.reports()


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
        work = _Work(detector, lease)
        query = _writer(detector, work.on_batch).trigger(processingTime=TRIGGER_INTERVAL).start()
        with _stopping(work, query):
            born = busy = elapsed()
            while elapsed() - busy < idle_seconds and elapsed() - born < max_life_seconds:
                yield from work.reports()
                _raise_failure(query)
                if work.look_again() or work.is_going_on():
                    busy = elapsed()
            work.finish()
            while work.has_reports():
                yield from work.reports()


class _Work:
    """What the query calls when something has landed. One thread at a time works; the other one hears of it."""

    def __init__(self, detector: Detector, lease: Lease):
        self._detector, self._lease = detector, lease
        self._batches: queue.Queue[MicroBatch] = queue.Queue()
        self._at_work = threading.Lock()
        self._at_hand, self._is_over = threading.Event(), threading.Event()
        self._worked_off: str | None = None

    def on_batch(self, _: DataFrame, __: int) -> None:
        """Works off all that waits, unless it is told to finish."""
        with self._at_work:
            while not self._is_over.is_set() and self._once():
                pass

    def look_again(self) -> bool:
        """One micro-batch of what no new file announces, such as the shorter last cell of a log declared final."""
        if not self._at_work.acquire(blocking=False):
            return False
        try:
            return self._once()
        finally:
            self._at_work.release()

    def _once(self) -> bool:
        newest = self._newest_offset()
        if newest is not None and newest == self._worked_off:
            return False
        try:
            batch = self._detector.work_once(self._at_hand.set)
            if batch is not None:
                self._lease.renew()
                self._batches.put(batch)
        finally:
            self._at_hand.clear()
        if batch is None:
            self._worked_off = newest
        return batch is not None

    def _newest_offset(self) -> str | None:
        """On S3, what changes with every chunk: one request instead of the dozens that a look at the tables takes."""
        offset = self._detector.lake.offset_file
        found = None if is_local(offset) else read_versioned(offset)
        return found[1] if found else None

    def reports(self) -> Iterator[MicroBatch]:
        """The next micro-batch if one comes in time; either way the lease lives on."""
        with contextlib.suppress(queue.Empty):
            yield self._batches.get(timeout=_POLL_SECONDS)
        self._lease.renew()

    def is_going_on(self) -> bool:
        """Whether a micro-batch is at hand, or one has just ended. Looking for one is not work."""
        return self._at_hand.is_set() or self.has_reports()

    def has_reports(self) -> bool:
        return not self._batches.empty()

    def finish(self) -> None:
        """Lets the micro-batch at hand come to its end, and no other begin."""
        self._is_over.set()
        with self._at_work:
            pass


@contextlib.contextmanager
def _stopping(work: _Work, query: StreamingQuery) -> Iterator[None]:
    """However the caller leaves, nothing works on behind its back, without a lease."""
    try:
        yield
    finally:
        work.finish()
        query.stop()


def _writer(detector: Detector, on_batch: Callable[[DataFrame, int], None]) -> DataStreamWriter:
    """The query. Its rows are never read: that there are some says that it is time to look. Spark looks for files by
    itself on a disk; on S3, for which it would need artefacts of Java, a clock of its own says when to look.

    What a micro-batch covers follows from the landing zone and the committed state alone, so that neither the
    order in which Spark lists files nor the loss of its checkpoint can skip or repeat anything. Spark therefore
    need not remember old files either (maxFileAge), and its checkpoint stays small.
    """

    landing = detector.lake.landing
    if is_local(landing):
        make_folder(landing)
        landed = (
            detector.spark.readStream.schema(PAYMENT.spark())
            .option("maxFilesPerTrigger", 10_000)
            .option("maxFileAge", "1h")
            .option("pathGlobFilter", "chunk_*.csv")
            .csv(str(landing))
        )
    else:
        landed = detector.spark.readStream.format("rate").option("rowsPerSecond", 1).load()
    return landed.writeStream.foreachBatch(on_batch).option(
        "checkpointLocation", str(detector.lake.detector_checkpoint)
    )


def _raise_failure(query: StreamingQuery) -> None:
    error = query.exception()
    if error is not None:
        raise error

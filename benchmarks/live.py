"""From the visible chunk to its committed detections and to published gold, with everything of `make ui` running."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.live_stack import LiveStack
from benchmarks.results import Judged, Limit, Result
from benchmarks.scale import Scale
from benchmarks.scratch import scratch_folder
from expectations.catalog import Lake
from expectations.landing import list_chunks
from expectations.thresholds import CHUNK_SIZE_ROWS
from orchestration.medallion.publishing import published_rows
from spark_jobs.pattern_detector.state import committed_cells

RATE = 1_000
_WARM_CELLS = 3
_START_SECONDS = 240
_BRONZE_LAG, _EVENT_LAG = "lag seconds (bronze to published)", "lag seconds (event to published)"
_GRACE_SECONDS = 15
"""For the last cell of the watched time to be committed."""


@dataclass(frozen=True)
class Evaluated:
    """A grid cell: when its last chunk became visible, and when its detections were committed. Epoch seconds."""

    cell: int
    visible_at: float
    committed_at: float

    @property
    def lag_s(self) -> float:
        return self.committed_at - self.visible_at


@dataclass(frozen=True)
class Published:
    """A publication as the event log tells it: when, and how long after the commit to bronze and the newest event."""

    at: float
    lag_s: float
    event_lag_s: float


@dataclass(frozen=True)
class Observation:
    """What was seen of the stack. Times in epoch seconds.

    Attributes:
        started_at, begin, end: when it was started; the watched time, in which it was warm.
        cells: every cell that became visible, in order; one that was never evaluated counts as if it had been when
            the stack was stopped.
        missing: how many of those in the watched time were never evaluated.
        batch_s: seconds of each micro-batch itself.
        ticks: when the chunker committed.
        publications: every publication of gold.
        cores: by part of the stack.
        memory_mb: likewise.
        survivors: processes that had to be killed.
    """

    started_at: float
    begin: float
    end: float
    cells: list[Evaluated]
    missing: int
    batch_s: list[float]
    ticks: list[float]
    publications: list[Published]
    cores: dict[str, float]
    memory_mb: dict[str, int]
    survivors: int

    def is_watched(self, at: float) -> bool:
        return self.begin <= at < self.end


def run(scale: Scale) -> list[Result]:
    """The watched time begins once the streaming run is warm; what it pays to start is the baseline."""
    with scratch_folder("live") as folder:
        seen = _observe(folder, scale.live_seconds)
    lags = np.array([cell.lag_s for cell in seen.cells if seen.is_watched(cell.visible_at)])
    if not len(lags):
        raise ValueError(f"no grid cell became visible in {scale.live_seconds:.0f} s")
    published = np.array([one.lag_s for one in seen.publications if seen.is_watched(one.at)])
    if not len(published):
        raise ValueError(f"nothing was published in {scale.live_seconds:.0f} s")
    third = max(1, len(lags) // 3)
    return [
        Result(
            what=f"visible chunk to committed detections, p95 over {len(lags)} grid cells, "
            f"{RATE:,} rows/s for {seen.end - seen.begin:.0f} s",
            unit="s",
            ours=float(np.percentile(lags, 95)),
            baseline=seen.cells[0].lag_s,
            baseline_name="the first cell, which waits for a Dagster run and a Spark session to start",
            limit=Limit(Judged.OURS, required=3, aim=1),
            details=_details(seen, lags),
        ),
        Result(
            what="median lag, last third of the time",
            unit="s",
            ours=float(np.median(lags[-third:])),
            baseline=float(np.median(lags[:third])),
            baseline_name="first third",
            limit=Limit(Judged.COST, required=1.5, aim=1.1),
        ),
        Result(
            what=f"commit to bronze to published gold, p95 over {len(published)} publications of the same time",
            unit="s",
            ours=float(np.percentile(published, 95)),
            baseline=float(np.median(published)),
            baseline_name="its median",
            limit=Limit(Judged.OURS, required=5, aim=2),
            details={
                "event to published gold p50, p95, max, s": _p50_p95_max(
                    [one.event_lag_s for one in seen.publications if seen.is_watched(one.at)]
                )
            },
        ),
    ]


def _observe(folder: Path, seconds: float) -> Observation:
    started_at = time.time()
    with LiveStack(folder, RATE) as stack:
        _wait_until_warm(stack)
        begin, before = time.time(), stack.cpu_seconds()
        stack.watch(seconds)
        end, after, memory = time.time(), stack.cpu_seconds(), dict(stack.memory_mb())
        stack.watch(_GRACE_SECONDS)
        stopped_at = time.time()
    visible, (batches, ticks, publications) = _visible(stack.lake), _from_event_log(stack.dagster_home)
    committed = _committed(visible, batches)
    return Observation(
        started_at=started_at,
        begin=begin,
        end=end,
        cells=[Evaluated(cell, at, committed.get(cell, stopped_at)) for cell, at in sorted(visible.items())],
        missing=sum(1 for cell, at in visible.items() if begin <= at < end and cell not in committed),
        batch_s=[batch.seconds for batch in batches],
        ticks=ticks,
        publications=publications,
        cores={role: round((after[role] - before[role]) / (end - begin), 2) for role in sorted(after)},
        memory_mb=memory,
        survivors=stack.survivors,
    )


def _details(seen: Observation, lags: np.ndarray) -> dict[str, object]:
    gaps = [later - earlier for earlier, later in pairwise(at for at in seen.ticks if seen.is_watched(at))]
    return {
        "lag p50, p95, max, s": _p50_p95_max(lags),
        "grid cells that were not evaluated": seen.missing,
        "micro-batch itself p50, p95, max, s": _p50_p95_max(seen.batch_s[_WARM_CELLS:]),
        "tick interval p50, p95, max, s": _p50_p95_max(gaps),
        "process start to first detections committed, s": round(seen.cells[0].committed_at - seen.started_at, 1),
        "cores used": round(sum(seen.cores.values()), 2),
        "cores used by part": {role: cores for role, cores in seen.cores.items() if cores},
        "MB by part": seen.memory_mb,
        "processes that had to be killed at the end": seen.survivors,
    }


def _p50_p95_max(values: Sequence[float]) -> list[float]:
    return [round(float(value), 2) for value in np.percentile(values, (50, 95, 100))] if len(values) else []


def _wait_until_warm(stack: LiveStack) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while committed_cells(stack.lake.table("pattern_state")) < _WARM_CELLS or not published_rows(stack.lake):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing was detected and published in {_START_SECONDS} s:\n{stack.output()}")
        stack.watch(1.0, interval=1.0)


def _visible(lake: Lake) -> dict[int, float]:
    """When each complete cell became visible: its last chunk was renamed into place right after it was written."""
    found = {}
    for folder in (lake.archive, lake.landing):
        for chunk in list_chunks(folder):
            if (chunk.last + 1) % CHUNK_SIZE_ROWS == 0:
                found[chunk.cell(CHUNK_SIZE_ROWS)] = (folder / chunk.name).stat().st_mtime
    return found


@dataclass(frozen=True)
class Batch:
    """A micro-batch as the event log tells it: so many cells up to `last_cell`, whose lag it says."""

    cells: int
    last_cell: int
    lag_s: float
    seconds: float


def _committed(visible: dict[int, float], batches: Sequence[Batch]) -> dict[int, float]:
    """When each cell's detections were committed: with the last cell of its micro-batch."""
    return {
        cell: visible[batch.last_cell] + batch.lag_s
        for batch in batches
        for cell in range(batch.last_cell - batch.cells + 1, batch.last_cell + 1)
    }


def _from_event_log(dagster_home: Path) -> tuple[list[Batch], list[float], list[Published]]:
    """The micro-batches, the times of the chunker's ticks, and the publications of the live medallion."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        found = {
            asset: instance.fetch_materializations(dg.AssetKey(asset), limit=10_000, ascending=True).records
            for asset in ("detections", "landing_chunks", "published_gold")
        }
    figures = [record.asset_materialization.metadata for record in found["detections"]]
    names = ("cells", "up to cell", "lag seconds", "seconds")
    batches = [Batch(*(figure[name].value for name in names)) for figure in figures]
    publications = [
        Published(record.timestamp, figures[_BRONZE_LAG].value, figures[_EVENT_LAG].value)
        for record in found["published_gold"]
        if _BRONZE_LAG in (figures := record.asset_materialization.metadata)
    ]
    return batches, [record.timestamp for record in found["landing_chunks"]], publications

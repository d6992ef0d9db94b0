"""From the visible chunk to its committed detections, live, with everything of `make ui` running."""

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
from spark_jobs.pattern_detector.state import committed_cells

RATE = 1_000
_WARM_CELLS = 3
_START_SECONDS = 240
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


def run(scale: Scale) -> list[Result]:
    """The watched time begins once the streaming run is warm; what it pays to start is the baseline."""
    with scratch_folder("live") as folder:
        started_at = time.time()
        with LiveStack(folder, RATE) as stack:
            _wait_until_warm(stack)
            begin, before = time.time(), stack.cpu_seconds()
            stack.watch(scale.live_seconds)
            end, after, memory = time.time(), stack.cpu_seconds(), dict(stack.memory_mb())
            stack.watch(_GRACE_SECONDS)
        visible, batches, ticks = _visible(stack.lake), *_from_event_log(stack.dagster_home)
        cells = _evaluated(visible, batches)
        watched = [cell for cell in cells if begin <= cell.visible_at < end]
        missing = [cell for cell, at in visible.items() if begin <= at < end and cell not in {c.cell for c in cells}]
    if not watched:
        raise ValueError(f"no grid cell was evaluated in {scale.live_seconds:.0f} s")
    lags = np.array([cell.lag_s for cell in watched])
    third = max(1, len(lags) // 3)
    gaps = [later - earlier for earlier, later in pairwise(at for at in ticks if begin <= at < end)]
    p95 = float(np.percentile(lags, 95))
    cpu = {role: round((after[role] - before[role]) / (end - begin), 2) for role in sorted(after)}
    details = {
        "grid cells evaluated": len(watched),
        "grid cells that became visible and were not": len(missing),
        "lag p50, p95, max, s": [round(float(value), 2) for value in (*np.percentile(lags, (50, 95)), lags.max())],
        "process start to first detections committed, s": round(min(c.committed_at for c in cells) - started_at, 1),
        "tick interval median, p95, max, s": [round(float(v), 2) for v in (*np.percentile(gaps, (50, 95)), max(gaps))],
        "cores used": round(sum(cpu.values()), 2),
        "cores used by part": {role: cores for role, cores in cpu.items() if cores},
        "MB by part": memory,
        "processes that had to be killed at the end": stack.survivors,
    }
    return [
        Result(
            what=f"visible chunk to committed detections, p95 over {len(lags)} grid cells, "
            f"{RATE:,} rows/s for {end - begin:.0f} s",
            unit="s",
            ours=p95,
            baseline=cells[0].lag_s,
            baseline_name="the first cell, which waits for a Dagster run and a Spark session to start",
            limit=Limit(Judged.OURS, required=3, aim=1),
            details=details,
        ),
        Result(
            what="median lag, last third of the time",
            unit="s",
            ours=float(np.median(lags[-third:])),
            baseline=float(np.median(lags[:third])),
            baseline_name="first third",
            limit=Limit(Judged.COST, required=1.5, aim=1.1),
        ),
    ]


def _wait_until_warm(stack: LiveStack) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while committed_cells(stack.lake.table("pattern_state")) < _WARM_CELLS:
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing was detected in {_START_SECONDS} s:\n{stack.output()}")
        stack.watch(1.0, interval=1.0)


def _visible(lake: Lake) -> dict[int, float]:
    """When each complete cell became visible: its last chunk was renamed into place right after it was written."""
    found = {}
    for folder in (lake.archive, lake.landing):
        for chunk in list_chunks(folder):
            if (chunk.last + 1) % CHUNK_SIZE_ROWS == 0:
                found[chunk.cell(CHUNK_SIZE_ROWS)] = (folder / chunk.name).stat().st_mtime
    return found


def _evaluated(visible: dict[int, float], batches: Sequence[tuple[int, int, float]]) -> list[Evaluated]:
    """Every cell of every micro-batch; the batch tells the lag of its last one."""
    return [
        Evaluated(cell, visible[cell], visible[last] + lag_s)
        for cells, last, lag_s in batches
        for cell in range(last - cells + 1, last + 1)
    ]


def _from_event_log(dagster_home: Path) -> tuple[list[tuple[int, int, float]], list[float]]:
    """Micro-batches as (cells, last cell, lag), and the times of the chunker's ticks."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        found = {
            asset: instance.fetch_materializations(dg.AssetKey(asset), limit=10_000, ascending=True).records
            for asset in ("detections", "landing_chunks")
        }
    figures = [record.asset_materialization.metadata for record in found["detections"]]
    batches = [tuple(f[name].value for name in ("cells", "up to cell", "lag seconds")) for f in figures]
    return batches, [record.timestamp for record in found["landing_chunks"]]

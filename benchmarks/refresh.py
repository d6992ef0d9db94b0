"""From 10,000 new rows in bronze to published gold, on silver of a million and of ten million payments."""

import os
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.long_history import copied, history, next_rows
from benchmarks.results import Judged, Limit, Result
from benchmarks.scale import Scale
from benchmarks.scratch import scratch_folder
from benchmarks.timing import timed
from expectations import delta
from expectations.catalog import Lake
from expectations.clock import system_clock
from expectations.tables import PAYMENTS_RAW_BRONZE
from expectations.thresholds import CHUNK_SIZE_ROWS
from orchestration.medallion.dbt_runner import PROJECT, set_environment
from orchestration.medallion.increments import Medallion
from orchestration.medallion.project import DBT

_WARM_UPS = 2
_COMMANDS = 3
_STEP = timedelta(minutes=5)


def run(scale: Scale) -> list[Result]:
    """The same increments on a short and on a long history; then the same by dbt's command; then readers."""
    small, large = scale.silver_rows // 10, scale.silver_rows
    with scratch_folder("refresh") as folder:
        short, parts, _ = _refreshes(small, folder / "short", scale.refreshes)
        long, long_parts, lake = _refreshes(large, folder / "long", scale.refreshes)
        by_command = _by_command(lake, large + (scale.refreshes + _WARM_UPS) * CHUNK_SIZE_ROWS)
        slowest, reads = _reads(lake)
    p95 = [float(np.percentile(seconds, 95)) for seconds in (short, long)]
    return [
        Result(
            what=f"{CHUNK_SIZE_ROWS:,} new rows on a silver of {small:,}: bronze commit to published gold, p95 of "
            f"{len(short)}",
            unit="s",
            ours=p95[0],
            baseline=float(np.median(short)),
            baseline_name="its median",
            limit=Limit(Judged.OURS, required=5, aim=2),
            details={"dbt, publish: median s": parts, "max s": round(max(short), 2)},
        ),
        Result(
            what=f"the same on {large:,}",
            unit="s",
            ours=p95[1],
            baseline=p95[0],
            baseline_name=f"on {small:,}",
            limit=Limit(Judged.COST, required=2, aim=1.3),
            details={"dbt, publish: median s": long_parts, "max s": round(max(long), 2)},
        ),
        Result(
            what="models of an increment, dbt warm in process; median",
            unit="s",
            ours=long_parts[0],
            baseline=float(np.median(by_command)),
            baseline_name=f"`dbt run` of the same models as a command; median of {_COMMANDS}",
            limit=Limit(Judged.SPEED_UP, required=3, aim=6),
        ),
        Result(
            what=f"select * from the slowest published gold view ({slowest}), silver of {large:,}; p95 of 20",
            unit="ms",
            ours=reads[slowest],
            baseline=float(np.median([*reads.values()])),
            baseline_name="the median view",
            limit=Limit(Judged.OURS, required=100, aim=20),
            details={"ms by view": reads},
        ),
    ]


def _refreshes(rows: int, folder: Path, times: int) -> tuple[list[float], list[float], Lake]:
    """Seconds of each refresh, from the commit on; the medians of its two halves; the lake."""
    lake = copied(history(rows), folder)
    medallion = Medallion(lake, system_clock)
    medallion.increment()
    seconds, halves = [], []
    for number in range(_WARM_UPS + times):
        _land(lake, rows + number * CHUNK_SIZE_ROWS)
        spent, increment = timed(medallion.increment)
        if not increment.publication.is_published:
            raise ValueError(f"not published: {[o for o in increment.publication.outcomes if not o.passed]}")
        seconds.append(spent)
        halves.append((increment.dbt_s, increment.publish_s))
    medians = [round(float(value), 2) for value in np.median(halves[_WARM_UPS:], axis=0)]
    return seconds[_WARM_UPS:], medians, lake


def _land(lake: Lake, first: int) -> None:
    rows = next_rows(lake, first, CHUNK_SIZE_ROWS, _STEP)
    delta.append_once(delta.open_table(lake.table(PAYMENTS_RAW_BRONZE.name)), rows, "chunker", first + len(rows))


def _by_command(lake: Lake, first: int) -> list[float]:
    set_environment(lake)
    where = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--quiet"]
    command = [str(DBT), "run", *where, "--select", "path:models/silver"]
    seconds = []
    for number in range(1 + _COMMANDS):
        _land(lake, first + number * CHUNK_SIZE_ROWS)
        seconds.append(timed(lambda: subprocess.run(command, check=True, env=os.environ))[0])
    return seconds[1:]


def _reads(lake: Lake) -> tuple[str, dict[str, float]]:
    """The slowest view, and milliseconds by view: p95 of 20 reads on one open connection."""
    reads = {}
    with duckdb.connect(str(lake.mart), read_only=True) as connection:
        names = connection.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = 'gold'").fetchall()
        for (name,) in names:
            seconds = []
            for _ in range(21):
                started = time.perf_counter()
                connection.execute(f"SELECT * FROM gold.{name}").fetchall()
                seconds.append(time.perf_counter() - started)
            reads[name] = round(float(np.percentile(seconds[1:], 95)) * 1000, 1)
    return max(reads, key=reads.get), reads

"""BankSim worked off in a Spark session that was just started, against a naive recompute of every chunk."""

import os
import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.isolation import isolated
from benchmarks.recompute import ROWS_DDL, Raised, recompute
from benchmarks.results import Judged, Limit, Result, Skipped
from benchmarks.scale import Scale
from benchmarks.scratch import lake_settings, scratch_folder
from benchmarks.timing import timed
from expectations.catalog import Lake
from expectations.currencies import FIXED_POINT_SCALE
from expectations.landing import list_chunks, read_chunk

_DEFAULT = Path(__file__).parents[2] / "shared" / "data" / "banksim" / "bs140513_032310.csv.gz"
_MINOR = FIXED_POINT_SCALE // 100  # BankSim is in euros


def run(scale: Scale) -> list[Result]:
    """Raises Skipped where the file is absent."""
    log = Path(os.environ.get("TOLLGATE_BANKSIM", _DEFAULT))
    if not log.is_file():
        raise Skipped(f"BankSim is not here: {log}; set TOLLGATE_BANKSIM")
    with scratch_folder("backlog") as folder:
        chunking_s, _ = timed(lambda: _chunk(log, folder / "chunked"))
        ours = []
        for number in range(scale.backlog_repetitions):
            lake = folder / f"lake_{number}"
            shutil.copytree(folder / "chunked", lake)
            ours.append(isolated(__name__, "detect", log, lake))
        naive = [_recompute_all(Lake(folder / "chunked")) for _ in range(scale.backlog_repetitions)]
    raised = naive[0][1]
    if any(one["raised"] != raised for one in ours):
        raise ValueError(f"ours raised {len(ours[0]['raised'])} detections, the recompute {len(raised)}")
    return [
        Result(
            what="BankSim, first micro-batch to last commit, in a fresh Spark session; "
            f"median of {scale.backlog_repetitions}",
            unit="s",
            ours=median(one["work_s"] for one in ours),
            baseline=median(seconds for seconds, _ in naive),
            baseline_name="DuckDB, every chunk from scratch",
            limit=Limit(Judged.COST, required=3, aim=1),
            details={
                "detections": dict(sorted(Counter(pattern for pattern, _, _ in raised).items())),
                "ours, each session, s": [round(one["work_s"], 2) for one in ours],
                "naive, each time, s": [round(seconds, 2) for seconds, _ in naive],
                "import and start of the session before it, s": round(median(one["start_s"] for one in ours), 1),
                "query start to return, s": round(median(one["query_s"] for one in ours), 1),
                "seconds of each micro-batch": ours[0]["batches"],
                "chunking it before, s": round(chunking_s, 1),
            },
        )
    ]


def detect(log: Path, root: Path) -> dict[str, object]:
    """One session's work: what `tollgate detect` does."""
    from orchestration.detection.assemble import make_detector
    from spark_jobs.pattern_detector.outbox import read_detections
    from spark_jobs.pattern_detector.stream import work_off

    start_s, detector = timed(lambda: make_detector(lake_settings(log, root)))
    query_s, batches = timed(lambda: list(work_off(detector, owner="benchmark")))
    begun = batches[0].committed_at - timedelta(seconds=batches[0].duration_s)
    found = read_detections(detector.lake).select(["pattern_id", "customer_id", "merchant_id"]).to_pylist()
    detector.spark.stop()
    return {
        "start_s": start_s,
        "query_s": query_s,
        "work_s": (batches[-1].committed_at - begun).total_seconds(),
        "batches": [round(batch.duration_s, 2) for batch in batches],
        "raised": {tuple(row.values()) for row in found},
    }


def _chunk(log: Path, root: Path) -> None:
    from orchestration.chunking.assemble import make_chunker
    from orchestration.chunking.follow import drain

    chunker = make_chunker(lake_settings(log, root))
    with chunker.alone():
        for _ in drain(chunker, is_final=True):
            pass


def _recompute_all(lake: Lake) -> tuple[float, Raised]:
    """Seconds of recomputing every cell, with all rows in memory beforehand; and what it raised."""
    chunks, raised = list_chunks(lake.landing), set()
    with duckdb.connect() as connection:
        connection.execute(ROWS_DDL)
        for cell, chunk in enumerate(chunks):
            rows = read_chunk(lake.landing / chunk.name)  # noqa: F841 - DuckDB finds it by name
            connection.execute(
                "INSERT INTO rows_so_far SELECT ? + row_number() OVER () - 1, ?, merchant_id, customer_id, gender, "
                f"amount_minor * {_MINOR}, weight FROM rows",
                [chunk.first, cell],
            )
        seconds, _ = timed(lambda: [recompute(connection, cell, raised) for cell in range(len(chunks))])
    return seconds, raised

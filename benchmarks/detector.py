"""What one more chunk costs the detector with millions of rows behind it, against recomputing that chunk."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.growing_company import land_full, land_slim, load
from benchmarks.recompute import Raised, recompute
from benchmarks.results import Judged, Limit, Result
from benchmarks.scale import Scale
from benchmarks.scratch import company_log, lake_settings, place_at, scratch_folder
from benchmarks.timing import median_ms, per_unit_ms, stages, timed
from expectations.landing import list_chunks
from expectations.settings import Settings
from expectations.thresholds import CHUNK_SIZE_ROWS
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.chunker import source_name
from orchestration.detection.assemble import make_detector
from spark_jobs.pattern_detector import detector as detector_module
from spark_jobs.pattern_detector import outbox, state
from spark_jobs.pattern_detector.detector import Detector
from spark_jobs.pattern_detector.stream import linger

_WARM_UPS = 5
_STREAMED = 8
_STAGES = (
    (outbox, "write_files"),
    (state, "open_state"),
    (detector_module, "waiting_cells"),
    (Detector, "_pieces"),
    (state, "snapshots"),
    (Detector, "_evaluate"),
    (outbox, "store_detections"),
    (outbox, "store_status"),
    (Detector, "_commit"),
)


def run(scale: Scale) -> list[Result]:
    """The state behind is built by the detector itself. Then each chunk is one micro-batch, in the same session."""
    log, behind = company_log(scale.log_rows), scale.deep_row // CHUNK_SIZE_ROWS
    ahead = _WARM_UPS + scale.detector_cells + _STREAMED
    with scratch_folder("detector") as folder, load(log, CHUNK_SIZE_ROWS) as rows:
        settings = lake_settings(log, folder / "lake")
        place_at(settings, scale.deep_row)
        detector = make_detector(settings)
        land_slim(rows, detector.lake, source_name(log), range(behind))
        chunks = _real_chunks(lake_settings(log, folder / "ahead"), scale.deep_row, ahead)
        build_s, _ = timed(lambda: list(detector.work_off()))
        raised = _raised(detector)
        for _ in range(_WARM_UPS):
            land_full(next(chunks), detector.lake)
            detector.work_once()
            raised |= _raised(detector)
        recompute(rows, behind, set())
        ours, naive = [], []
        with stages(*_STAGES) as seconds:
            for cell in range(behind + _WARM_UPS, behind + _WARM_UPS + scale.detector_cells):
                land_full(next(chunks), detector.lake)
                ours.append(timed(detector.work_once)[0])
                naive.append(_naive(rows, cell, raised))
                if raised != _raised(detector):
                    raise ValueError(f"cell {cell}: ours and the recompute disagree: {raised ^ _raised(detector)}")
        lags = _streamed(detector, chunks)
        pairs = rows.execute("SELECT count(DISTINCT (merchant_id, customer_id)) FROM rows_so_far").fetchone()[0]
        detector.spark.stop()
    return [
        Result(
            what=f"one chunk of {CHUNK_SIZE_ROWS:,} rows with {scale.deep_row:,} rows behind it, warm; "
            f"median of {scale.detector_cells} after {_WARM_UPS}",
            unit="ms",
            ours=median(ours) * 1000,
            baseline=median(naive) * 1000,
            baseline_name="DuckDB, that chunk from scratch over rows in memory; reads and commits nothing",
            limit=Limit(Judged.COST, required=1, aim=0.3),
            details={
                "pairs of customer and merchant": f"{pairs:,}",
                "detections": len(raised),
                "ms per stage": per_unit_ms(seconds, scale.detector_cells),
                "ours, each, ms": [round(value * 1000) for value in ours],
                "naive, each, ms": [round(value * 1000) for value in naive],
                f"through the stream, {_STREAMED} chunks: visible to committed, median ms": median_ms(lags),
                f"building the state of {behind} cells, s": round(build_s, 1),
            },
        )
    ]


def _naive(rows: duckdb.DuckDBPyConnection, cell: int, raised: Raised) -> float:
    return timed(lambda: recompute(rows, cell, raised))[0]


def _raised(detector: Detector) -> Raised:
    found = outbox.read_detections(detector.lake).select(["pattern_id", "customer_id", "merchant_id"])
    return {tuple(row.values()) for row in found.to_pylist()}


def _real_chunks(settings: Settings, row: int, count: int) -> Iterator[Path]:
    """Chunk files as the chunker makes them from the row on, in a lake of their own."""
    place_at(settings, row)
    chunker = make_chunker(settings)
    with chunker.alone():
        for _ in range(count):
            chunker.tick()
    landing = chunker.lake.landing
    return iter([landing / chunk.name for chunk in list_chunks(landing)])


def _streamed(detector: Detector, chunks: Iterator[Path]) -> list[float]:
    """Seconds from the visible chunk to the commit, when a lingering query finds it; the first is its warm-up."""
    lags = []
    land_full(next(chunks), detector.lake)
    for batch in linger(detector, "benchmark", idle_seconds=60, max_life_seconds=600):
        lags.append(batch.lag_s)
        path = next(chunks, None)
        if path is None:
            break
        land_full(path, detector.lake)
    return lags[1:]

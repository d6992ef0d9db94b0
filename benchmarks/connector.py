"""Rows appended to bronze by Spark and the Delta connector, against delta-rs, each from the same chunk files."""

import os
import shutil
import time
from pathlib import Path
from statistics import median
from unittest import mock

from benchmarks.isolation import isolated
from benchmarks.results import Result, Skipped
from benchmarks.scale import QUICK, Scale
from benchmarks.scratch import company_log, lake_settings, scratch_folder
from expectations.settings import Settings
from expectations.thresholds import CHUNK_SIZE_ROWS
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.follow import drain
from spark_jobs import bronze_rebuild
from spark_jobs.connector import PACKAGE

_SMALL, _LARGE = 1, 8
"""Chunks per commit."""

_WARM_UPS = 2


def run(scale: Scale) -> list[Result]:
    """Bronze is made anew, with small commits and with large ones; the first ones of each do not count."""
    log = company_log(QUICK.log_rows)
    with scratch_folder("connector") as folder:
        settings = lake_settings(log, folder / "lake")
        chunker = make_chunker(settings)
        with chunker.alone():
            chunks = len([*drain(chunker)])
        shutil.rmtree(folder / "lake" / "bronze")
        by_spark = settings.model_copy(update={"delta_connector": True, "spark_packages": [PACKAGE]})
        results = []
        for size in (_SMALL, _LARGE):
            baseline = isolated("benchmarks.connector", "measure", settings, size)
            try:
                ours = isolated("benchmarks.connector", "measure", by_spark, size)
            except RuntimeError as error:
                raise Skipped(f"Spark does not start with {PACKAGE} here: {error}") from error
            results.append(
                Result(
                    what=f"{size * CHUNK_SIZE_ROWS:,} rows from {size} chunk files to bronze, local[2], warm; "
                    f"median of {len(ours)}",
                    unit="ms",
                    ours=median(ours) * 1000,
                    baseline=median(baseline) * 1000,
                    baseline_name="delta-rs, in one process without Spark",
                    details={"chunks in all": chunks, "connector": PACKAGE},
                )
            )
    return results


def measure(settings: Settings, chunks_per_commit: int) -> list[float]:
    """Seconds of each warm commit of a new bronze, which is gone afterwards."""
    os.chdir(Path(settings.lake).parent)
    spark = None
    if settings.delta_connector:
        from spark_jobs.session import start_session

        spark = start_session(settings)
    from expectations.catalog import Lake

    lake, seconds, at = Lake(settings.lake), [], time.perf_counter()
    with mock.patch.object(bronze_rebuild, "CHUNKS_PER_COMMIT", chunks_per_commit):
        for rows in bronze_rebuild.rebuild(lake, spark):
            now = time.perf_counter()
            if rows == chunks_per_commit * CHUNK_SIZE_ROWS:
                seconds.append(now - at)
            at = now
    shutil.rmtree(lake.table("payments_raw_bronze"))
    if spark is not None:
        spark.stop()
    return seconds[_WARM_UPS:]

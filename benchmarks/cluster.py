"""The detector on a Spark cluster of two workers with one core each, against local Spark with the same two cores."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks.isolation import isolated
from benchmarks.results import Result
from benchmarks.scale import QUICK, Scale
from benchmarks.scratch import company_log, lake_settings, scratch_folder
from benchmarks.timing import timed
from expectations.landing import list_chunks
from expectations.settings import Settings
from expectations.thresholds import CHUNK_SIZE_ROWS
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.follow import drain
from orchestration.detection.assemble import make_detector
from spark_jobs.pattern_detector.outbox import read_detections
from tests.support.spark_cluster import spark_cluster

_WARM_UPS = 5


@dataclass(frozen=True)
class Figures:
    """Of one engine: seconds of each warm micro-batch of one cell, and of one of all that was left."""

    start_s: float
    single_s: list[float]
    backlog_s: float
    backlog_cells: int
    detections: int


def run(scale: Scale) -> list[Result]:
    """Each in a process of its own, on a copy of the same lake."""
    log = company_log(QUICK.log_rows)
    with scratch_folder("cluster") as folder:
        settings = lake_settings(log, folder / "lake")
        chunker = make_chunker(settings)
        with chunker.alone():
            cells = len([*drain(chunker)])
        shutil.copytree(folder / "lake", folder / "other")
        local = isolated("benchmarks.cluster", "measure", settings, scale.detector_cells, {})
        with spark_cluster(folder) as cluster:
            remote = settings.model_copy(update={"lake": folder / "other", "spark_master": cluster.url})
            clustered = isolated("benchmarks.cluster", "measure", remote, scale.detector_cells, cluster.settings)
    if local.detections != clustered.detections:
        raise ValueError(f"{local.detections} detections on one machine, {clustered.detections} on the cluster")
    return [
        Result(
            what=f"one chunk of {CHUNK_SIZE_ROWS:,} rows on two workers of one core, warm; "
            f"median of {scale.detector_cells} after {_WARM_UPS}",
            unit="ms",
            ours=median(clustered.single_s) * 1000,
            baseline=median(local.single_s) * 1000,
            baseline_name="local[2]: the same two cores in one process",
            details={
                "session and first micro-batch, s": f"{clustered.start_s:.1f} vs. {local.start_s:.1f}",
                "cells in all": cells,
            },
        ),
        Result(
            what=f"{clustered.backlog_cells} chunks in one micro-batch on two workers of one core",
            unit="s",
            ours=clustered.backlog_s,
            baseline=local.backlog_s,
            baseline_name="local[2]: the same two cores in one process",
            details={"detections, equal on both": clustered.detections},
        ),
    ]


def measure(settings: Settings, cells: int, environment: dict[str, str]) -> Figures:
    """Works off a lake: the first cells one by one, and then the rest at once."""
    os.environ.update(environment)
    os.chdir(Path(settings.lake).parent)
    whole = []

    def start() -> None:
        whole.append(make_detector(settings))
        one_by_one().work_once()

    def one_by_one() -> object:
        return replace(whole[0], cells_per_batch=1)

    start_s, _ = timed(start)
    for _ in range(_WARM_UPS):
        one_by_one().work_once()
    single = [timed(one_by_one().work_once)[0] for _ in range(cells)]
    left = len(list_chunks(whole[0].lake.landing)) - 1 - _WARM_UPS - cells
    backlog_s, batch = timed(whole[0].work_once)
    if batch.last_cell - batch.first_cell + 1 != left:
        raise ValueError(f"{batch} should be all that is left, {left} cells")
    detections = len(read_detections(whole[0].lake))
    whole[0].spark.stop()
    return Figures(start_s, single, backlog_s, left, detections)

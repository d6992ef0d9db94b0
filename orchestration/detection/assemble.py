"""Builds the detector that the settings describe. Spark is imported only where a detector is wanted."""

from pathlib import Path
from typing import TYPE_CHECKING

from expectations.catalog import Lake
from expectations.landing import Chunk
from expectations.settings import Settings
from orchestration.faults import commit_points
from spark_jobs.pattern_detector import cells
from spark_jobs.pattern_detector.state import committed_cells

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_jobs.pattern_detector.detector import Detector


def make_detector(settings: Settings, spark: "SparkSession | None" = None) -> "Detector":
    """The detector of the configured lake, on a session that is there or a new one."""
    from spark_jobs.pattern_detector.detector import Detector
    from spark_jobs.session import start_session

    return Detector(
        spark=spark or start_session(settings),
        lake=Lake(settings.lake),
        buckets=settings.detector_buckets,
        clock=settings.clock,
        passed=commit_points(settings),
        uses_connector=settings.delta_connector,
    )


def waiting_cells(settings: Settings) -> list[list[Chunk]]:
    """The complete cells that are not evaluated yet."""
    lake = Lake(settings.lake)
    committed = committed_cells(lake.table("pattern_state"))
    return cells.waiting_cells(lake, committed)


def has_work(settings: Settings) -> bool:
    """Whether starting Spark would be worth while: a cell or a file waits."""
    from spark_jobs.pattern_detector.outbox import files_due

    return bool(waiting_cells(settings)) or files_due(Lake(settings.lake))


def drain_files(settings: Settings) -> list[Path]:
    """Writes what waits in the outbox, the last file with fewer than 50."""
    from spark_jobs.pattern_detector.outbox import write_files_alone

    return write_files_alone(Lake(settings.lake), drain=True)

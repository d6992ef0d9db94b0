"""Whether a lake that grows gets slower: the whole path of each of thousands of chunks, the last against the first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING
from unittest import mock

from benchmarks.results import Judged, Limit, Result
from benchmarks.scale import Scale
from benchmarks.scratch import company_log, lake_settings, scratch_folder
from benchmarks.timing import timed
from expectations import delta
from expectations.catalog import Lake
from expectations.settings import Settings
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.follow import tick_with_retries
from orchestration.detection.assemble import make_detector
from orchestration.maintenance.housekeeping import archive_chunks, compact_tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CHUNK_ROWS = 1_000
"""Small, so that what grows with the number of commits is not hidden behind the rows."""

HOUSEKEEPING_EVERY = 720
"""Ticks in an hour, which is how often housekeeping runs."""

_LOG_RETENTION = "interval 60 seconds"
"""Here a chunk comes about every half second, in life every five: what goes by the clock is sped up as much."""

_WARM_UPS = 120
_ENDS = 10


@dataclass(frozen=True)
class Step:
    """Seconds that one chunk took."""

    tick_s: float
    detect_s: float

    @property
    def seconds(self) -> float:
        return self.tick_s + self.detect_s


def run(scale: Scale) -> list[Result]:
    """Every chunk is one tick, with a new chunker as the sensor has it, and one micro-batch.

    The session is warmed up on another lake, so that the first chunks of the measured one are not flattered.
    """
    log, chunks = company_log(scale.log_rows), scale.growth_chunks
    with scratch_folder("growth") as folder, mock.patch.dict(delta.PROPERTIES, {delta.LOG_RETENTION: _LOG_RETENTION}):
        warm_up = _WARM_UPS // 4 if scale.is_quick else _WARM_UPS
        detector = make_detector(lake_settings(log, folder / "warm-up", CHUNK_ROWS))
        for _ in _grow(lake_settings(log, folder / "warm-up", CHUNK_ROWS), detector.spark, warm_up):
            pass
        settings, kept_house_s = lake_settings(log, folder / "lake", CHUNK_ROWS), []
        lake = Lake(settings.lake)

        def keep_house() -> None:
            kept_house_s.append(timed(lambda: (compact_tables(lake), archive_chunks(lake)))[0])

        steps = list(_grow(settings, detector.spark, chunks, keep_house))
        files = {
            name: len(table.file_uris())
            for name in ("payments_raw_bronze", "pattern_state", "detections", "pattern_status")
            if (table := delta.open_table(lake.table(name)))
        }
        detector.spark.stop()
    first, last = steps[:_ENDS], steps[-_ENDS:]
    return [
        Result(
            what=f"tick + detection of {CHUNK_ROWS:,} rows, last {_ENDS} of {chunks:,} chunks, warm; medians; "
            f"housekeeping every {HOUSEKEEPING_EVERY}, untimed",
            unit="ms",
            ours=_median_ms(last, "seconds"),
            baseline=_median_ms(first, "seconds"),
            baseline_name=f"its own first {_ENDS}",
            limit=Limit(Judged.COST, required=1.5, aim=1.1),
            details={
                "tick, first and last, ms": [_median_ms(part, "tick_s") for part in (first, last)],
                "detection, first and last, ms": [_median_ms(part, "detect_s") for part in (first, last)],
                "ms (tick + detection) by position": _trend(steps),
                "housekeeping each time, s": [round(seconds, 1) for seconds in kept_house_s],
                "files per table at the end": files,
            },
        )
    ]


def _grow(
    settings: Settings, spark: "SparkSession", chunks: int, keep_house: Callable[[], None] = lambda: None
) -> Iterator[Step]:
    detector = make_detector(settings, spark)

    def tick() -> None:
        chunker = make_chunker(settings)
        with chunker.alone():
            if tick_with_retries(chunker) is None:
                raise ValueError(f"{settings.log} is too short")

    def detect() -> None:
        if detector.work_once() is None:
            raise ValueError("nothing to detect")

    for number in range(1, chunks + 1):
        yield Step(timed(tick)[0], timed(detect)[0])
        if number % HOUSEKEEPING_EVERY == 0:
            keep_house()


def _median_ms(steps: list[Step], part: str) -> float:
    return round(median(getattr(step, part) for step in steps) * 1000, 1)


def _trend(steps: list[Step]) -> dict[str, str]:
    """Medians over stretches of the run: where it grows, and what housekeeping gives back."""
    size = max(_ENDS, len(steps) // 20)
    return {
        f"{start:,}": f"{_median_ms(part, 'tick_s'):.0f} + {_median_ms(part, 'detect_s'):.0f}"
        for start in range(0, len(steps), size)
        if (part := steps[start : start + size])
    }

"""One tick of the chunker, from the log to the committed offset, with every fsync."""

import hashlib
import hmac
import os
from pathlib import Path
from statistics import median

import pandas as pd
from deltalake import write_deltalake

from benchmarks.results import Judged, Limit, Result
from benchmarks.scale import Scale
from benchmarks.scratch import company_log, lake_settings, scratch_folder
from benchmarks.timing import median_ms, per_unit_ms, repeat, stages
from expectations import delta
from expectations.settings import Settings
from expectations.thresholds import CHUNK_SIZE_ROWS
from orchestration.chunking import chunker as chunker_module
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.chunker import Chunker
from orchestration.chunking.follow import tick_with_retries

_WARM_UPS = 3
_STAGES = (
    (Chunker, "_open"),
    (Chunker, "_next_block"),
    (chunker_module, "adapt"),
    (chunker_module, "encode_chunk"),
    (chunker_module, "check_chunk"),
    (chunker_module, "write_chunk"),
    (Chunker, "_table"),
    (delta, "append_once"),
    (chunker_module, "check_totals"),
    (chunker_module, "write_offset"),
)


def run(scale: Scale) -> list[Result]:
    """As the sensor does it, with a new chunker for every tick, and as `tollgate chunk` does, with one."""
    log = company_log(scale.log_rows)
    with scratch_folder("tick") as folder:
        with stages(*_STAGES) as seconds:
            sensor = _sensor_ticks(lake_settings(log, folder / "sensor"), scale.ticks)
        follower = _follower_ticks(lake_settings(log, folder / "follower"), scale.ticks)
        script = _script_ticks(log, folder / "script", scale.ticks)
    return [
        Result(
            what=f"one tick of {CHUNK_SIZE_ROWS:,} rows with card numbers; median of {scale.ticks} after {_WARM_UPS}",
            unit="ms",
            ours=median(sensor) * 1000,
            baseline=median(script) * 1000,
            baseline_name="a pandas script: read_csv at row 0, HMAC, to_csv, Delta append, without any check",
            limit=Limit(Judged.OURS, required=250, aim=100),
            details={
                "ms per stage": per_unit_ms(seconds, scale.ticks + _WARM_UPS),
                "one chunker for all ticks, ms": median_ms(follower),
                "slowest tick, ms": round(max(sensor) * 1000, 1),
            },
        )
    ]


def _sensor_ticks(settings: Settings, ticks: int) -> list[float]:
    def tick() -> None:
        chunker = make_chunker(settings)
        with chunker.alone():
            _demand_full(tick_with_retries(chunker))

    return repeat(tick, ticks, _WARM_UPS)


def _follower_ticks(settings: Settings, ticks: int) -> list[float]:
    chunker = make_chunker(settings)
    with chunker.alone():
        return repeat(lambda: _demand_full(tick_with_retries(chunker)), ticks, _WARM_UPS)


def _demand_full(tick: chunker_module.Tick | None) -> None:
    if tick is None or tick.rows != CHUNK_SIZE_ROWS:
        raise ValueError(f"not a whole chunk: {tick}")


def _script_ticks(log: Path, folder: Path, ticks: int) -> list[float]:
    """The same without a position, gates, quarantine or canonical types: what one would write in ten minutes."""
    folder.mkdir()

    def token(number: str) -> str:
        return hmac.new(b"key", number.encode(), hashlib.sha256).hexdigest()

    def tick() -> None:
        rows = pd.read_csv(log, nrows=CHUNK_SIZE_ROWS, dtype={"card_number": str})
        rows["card_number"] = rows["card_number"].map(token)
        with open(folder / "chunk.csv", "w") as file:
            rows.to_csv(file, index=False)
            file.flush()
            os.fsync(file.fileno())
        write_deltalake(folder / "bronze", rows, mode="append")

    return repeat(tick, ticks, _WARM_UPS)

"""The chunker's reading against `pandas.read_csv(skiprows, nrows)`: how it depends on the position in the log."""

from pathlib import Path
from statistics import median

import pandas as pd

from benchmarks.results import Judged, Limit, Result
from benchmarks.scale import Scale
from benchmarks.scratch import company_log, lake_settings, place_at, scratch_folder
from benchmarks.timing import repeat, stages
from expectations.settings import Settings
from expectations.sources import adapter
from expectations.thresholds import CHUNK_SIZE_ROWS
from orchestration.chunking import chunker as chunker_module
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.chunker import Chunker

_TICKS = 9
_PARSING = ((Chunker, "_open"), (Chunker, "_next_block"), (adapter, "_read_csv"))
_LIMIT = Limit(Judged.SPEED_UP, required=10, aim=50)


def run(scale: Scale) -> list[Result]:
    """Pandas types what it parses, so the like of it is between our parsing to text and our typing and tokenising."""
    log = company_log(scale.log_rows)
    positions = [0, scale.deep_row // 5, scale.deep_row // 2, scale.deep_row]
    pandas_s = {row: _pandas(log, row) for row in positions}
    parse_s, reading_s, tick_s = {}, {}, {}
    for row in positions:
        with scratch_folder("seek") as folder:
            settings = lake_settings(log, folder)
            if row:
                place_at(settings, row)
            parse_s[row], reading_s[row], tick_s[row] = _ticks(settings)
    deep = scale.deep_row
    literal = f"pandas.read_csv(skiprows={deep:,}, nrows={CHUNK_SIZE_ROWS:,})"
    return [
        Result(
            what=f"seek, split and parse {CHUNK_SIZE_ROWS:,} rows at row {deep:,}, as text; median of {_TICKS}",
            unit="ms",
            ours=parse_s[deep] * 1000,
            baseline=pandas_s[deep] * 1000,
            baseline_name=literal,
            limit=_LIMIT,
            details={
                "the log": f"our own format, {log.stat().st_size / 1e6:,.0f} MB, in the page cache for both",
                "pandas, ms by row": _by_row(pandas_s),
                "ours as text, ms by row": _by_row(parse_s),
                "ours typed and tokenised, ms by row": _by_row(reading_s),
                "whole tick, ms by row": _by_row(tick_s),
            },
        ),
        Result(
            what="the same, typed and tokenised",
            unit="ms",
            ours=reading_s[deep] * 1000,
            baseline=pandas_s[deep] * 1000,
            baseline_name=literal,
            limit=_LIMIT,
        ),
        Result(
            what="the whole tick there, with every commit",
            unit="ms",
            ours=tick_s[deep] * 1000,
            baseline=pandas_s[deep] * 1000,
            baseline_name=literal,
            limit=_LIMIT,
        ),
        Result(
            what=f"flat: the whole tick at row {deep:,}",
            unit="ms",
            ours=tick_s[deep] * 1000,
            baseline=tick_s[0] * 1000,
            baseline_name="the same at row 0",
        ),
    ]


def _by_row(seconds: dict[int, float]) -> dict[str, float]:
    return {f"{row:,}": round(value * 1000, 1) for row, value in seconds.items()}


def _pandas(log: Path, row: int) -> float:
    """Seconds of the literal way, in its faster form: a number of lines to skip, not a range of them."""
    names = pd.read_csv(log, nrows=0).columns

    def read() -> None:
        rows = pd.read_csv(log, skiprows=row + 1, nrows=CHUNK_SIZE_ROWS, header=None, names=names)
        if len(rows) != CHUNK_SIZE_ROWS:
            raise ValueError(f"pandas read {len(rows):,} rows")

    return median(repeat(read, times=3))


def _ticks(settings: Settings) -> tuple[float, float, float]:
    """Median seconds until the rows are text, until they are adapted, and of the whole tick; each with a new chunker,
    as the sensor does it.
    """

    def tick() -> None:
        chunker = make_chunker(settings)
        with chunker.alone():
            chunker.tick()

    repeat(tick, times=2)
    with stages(*_PARSING, (chunker_module, "adapt")) as seconds:
        whole = repeat(tick, times=_TICKS, warm_ups=0)
    opening, block, parsing, adapting = seconds.values()
    parts = list(zip(opening, block, parsing, adapting, strict=True))
    return median(sum(part[:3]) for part in parts), median(sum((*part[:2], part[3])) for part in parts), median(whole)

"""Peak memory of the chunker over a long log, above what its imports take. Its process does nothing else."""

import contextlib
import resource
from pathlib import Path

import psutil

from benchmarks.results import Judged, Limit, Result
from benchmarks.scale import Scale
from benchmarks.scratch import company_log, lake_settings, scratch_folder
from expectations.thresholds import CHUNK_SIZE_ROWS

_MB = 1024 * 1024


def run(scale: Scale) -> list[Result]:
    """Chunks the whole log, one tick after the other, with one chunker."""
    from orchestration.chunking.assemble import make_chunker
    from orchestration.chunking.follow import tick_with_retries

    log, ticks = company_log(scale.log_rows), scale.deep_row // CHUNK_SIZE_ROWS
    with scratch_folder("memory") as folder:
        chunker = make_chunker(lake_settings(log, folder))
        imports, parts = psutil.Process().memory_info().rss, _resident_parts()
        _forget_peak()
        peaks = []
        with chunker.alone():
            for _ in range(ticks):
                if tick_with_retries(chunker) is None:
                    raise ValueError(f"{log} is shorter than {ticks:,} chunks")
                peaks.append(_peak())
    return [
        Result(
            what=f"peak above the imports, over {ticks:,} chunks of a log of {log.stat().st_size / _MB:,.0f} MB",
            unit="MB",
            ours=(peaks[-1] - imports) / _MB,
            baseline=imports / _MB,
            baseline_name="its imports",
            limit=Limit(Judged.OURS, required=150, aim=50),
            details={
                "MB above the imports after so many chunks": {
                    number: round((peaks[number - 1] - imports) / _MB, 1)
                    for number in sorted({1, 10, ticks // 4, ticks // 2, ticks} - {0})
                },
                "MB above the imports at the end": {
                    part: round((size - parts[part]) / _MB, 1) for part, size in _resident_parts().items()
                },
            },
        )
    ]


def _forget_peak() -> None:
    """Linux: the peak so far, which imports may have set, no longer counts."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The highest resident size so far, in bytes."""
    peak = _status().get("VmHWM")
    return peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if psutil.MACOS else 1024)


def _resident_parts() -> dict[str, int]:
    """Linux: the process's own memory, and the pages of libraries that its code has touched, in bytes."""
    status = _status()
    return {name: status[key] for name, key in (("own", "RssAnon"), ("libraries", "RssFile")) if key in status}


def _status() -> dict[str, int]:
    """Linux: the sizes in /proc/self/status, in bytes."""
    with contextlib.suppress(OSError):
        lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
        return {words[0].removesuffix(":"): int(words[1]) * 1024 for words in lines if words[-1] == "kB"}
    return {}

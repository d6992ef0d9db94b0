"""`python -m benchmarks [names...] [--quick]`: runs them one after the other, prints a table, writes JSON."""

import signal
import sys
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.isolation import isolated
from benchmarks.report import machine_facts, show, show_details, write_json
from benchmarks.results import Result, Skipped
from benchmarks.scale import FULL, QUICK, Scale

BENCHMARKS = {
    "seek": "chunker vs. pandas.read_csv(skiprows, nrows), deep in a log",
    "tick": "one tick of the chunker, all commits included",
    "memory": "peak memory of the chunker, above its imports",
    "detector": "one chunk with millions of rows behind it, vs. recomputing it",
    "backlog": "BankSim from the first micro-batch to the last commit, vs. recomputing every chunk",
    "growth": "the last chunks of thousands vs. the first",
    "refresh": "10,000 new rows from bronze to published gold, on a long history; dbt warm vs. as a command; readers",
    "rebuild": "silver and gold from the whole of bronze, vs. one DuckDB script",
    "reconcile": "a million payments with a million journal entries, vs. one full outer join",
    "verify": "a chain of a year of audited days",
    "s3_tick": "one tick of the chunker on S3, vs. on this disk",
    "cluster": "the detector on a cluster of two workers, vs. local Spark with the same cores",
    "connector": "rows appended to bronze through the Delta connector, vs. delta-rs",
    "live": "everything of `make ui`, at 1,000 rows/s",
}

_screen = Console() if sys.stdout.isatty() else Console(width=180)


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(BENCHMARKS)}. [default: all]")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small: figures mean little.")] = False,
    live_seconds: Annotated[float | None, typer.Option(help="How long `live` watches. [default: 600]")] = None,
    growth_chunks: Annotated[int | None, typer.Option(min=40, help="Chunks of `growth`. [default: 2000]")] = None,
) -> None:
    """Measures Tollgate against named baselines. No figure fails a run; a benchmark that breaks does."""
    unknown = {*(names or ())} - {*BENCHMARKS}
    if unknown:
        raise typer.BadParameter(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    asked = {"live_seconds": live_seconds, "growth_chunks": growth_chunks}
    scale = replace(QUICK if quick else FULL, **{name: value for name, value in asked.items() if value is not None})
    now, machine = datetime.now(UTC), machine_facts()
    outcomes = {name: _run(name, scale) for name in names or BENCHMARKS}
    show(outcomes, machine, _screen)
    if quick:
        _screen.print("quick: smaller than what the limits are meant for", style="yellow")
    path = write_json(outcomes, machine, quick, now)
    _screen.print(f"written to {path}", soft_wrap=True, highlight=False)
    if any(isinstance(outcome, str) and outcome.startswith("failed") for outcome in outcomes.values()):
        sys.exit(1)


def _run(name: str, scale: Scale) -> list[Result] | str:
    _screen.print(f"{name}: {BENCHMARKS[name]}", style="bold", highlight=False)
    started = time.perf_counter()
    try:
        results = isolated(f"benchmarks.{name}", "run", scale)
    except Skipped as reason:
        return f"skipped: {reason}"
    except Exception as error:
        traceback.print_exc()
        return f"failed: {type(error).__name__}: {error}"
    show_details(name, results, _screen)
    _screen.print(f"  {time.perf_counter() - started:.0f} s", highlight=False)
    return results


if __name__ == "__main__":
    typer.run(main)

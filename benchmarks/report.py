"""The table that a person reads, and the JSON file that a later run is compared with."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.results import Judged, Limit, Result

RESULTS = Path(__file__).parent / "results"

_PACKAGES = ("dagster", "deltalake", "duckdb", "numpy", "pandas", "pyarrow", "pyspark")


def machine_facts() -> dict[str, object]:
    """What the figures depend on besides the code."""
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "versions": {package: version(package) for package in _PACKAGES},
    }


def show(outcomes: Mapping[str, Sequence[Result] | str], machine: Mapping[str, object], screen: Console) -> None:
    """Prints the table; a benchmark that was skipped or failed has its reason in the place of its lines."""
    table = Table(title="Tollgate's benchmarks", show_lines=True)
    for column in ("benchmark", "what", "ours", "baseline", "ratio", "at least", "aim", "verdict"):
        table.add_column(column, justify="right" if column in ("ours", "ratio", "at least", "aim") else "left")
    for name, outcome in outcomes.items():
        if isinstance(outcome, str):
            table.add_row(name, outcome)
        else:
            for result in outcome:
                table.add_row(name, *_cells(result))
    screen.print(table)
    screen.print(
        f"{machine['cores']} cores, Python {machine['python']}, load average {machine['load_average']} at the start",
        highlight=False,
    )


def show_details(name: str, results: Sequence[Result], screen: Console) -> None:
    """Prints the further figures of one benchmark."""
    for result in results:
        for key, value in result.details.items():
            screen.print(f"  {name}: {key}: {value}", highlight=False, markup=False)


def write_json(
    outcomes: Mapping[str, Sequence[Result] | str], machine: Mapping[str, object], is_quick: bool, now: datetime
) -> Path:
    """Writes everything to `benchmarks/results/<UTC time>.json`."""
    found = {
        name: outcome if isinstance(outcome, str) else [result.to_json() for result in outcome]
        for name, outcome in outcomes.items()
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    content = {"at": now.isoformat(), "quick": is_quick, "machine": machine, "benchmarks": found}
    path.write_text(json.dumps(content, indent=2, default=str) + "\n")
    return path


def _cells(result: Result) -> list[str]:
    limit = result.limit
    is_speed_up = limit is not None and limit.judged is Judged.SPEED_UP
    ratio = f"{result.figure(Judged.SPEED_UP):,.3g}x faster" if is_speed_up else f"{result.figure(Judged.COST):.2f}x"
    return [
        result.what,
        f"{result.ours:,.4g} {result.unit}",
        f"{result.baseline:,.4g} {result.unit}: {result.baseline_name}",
        ratio,
        _asked(limit, limit.required, result.unit) if limit else "",
        _asked(limit, limit.aim, result.unit) if limit else "",
        result.verdict,
    ]


def _asked(limit: Limit, value: float, unit: str) -> str:
    if limit.judged is Judged.OURS:
        return f"<= {value:g} {unit}"
    return f">= {value:g}x" if limit.judged is Judged.SPEED_UP else f"<= {value:g}x"

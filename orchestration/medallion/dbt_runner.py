"""dbt in this process: kept warm, on the warehouse of one lake, one caller at a time."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from filelock import FileLock, Timeout

from expectations.card_numbers import fingerprint
from expectations.catalog import Lake
from expectations.errors import LakeBusy, TollgateError
from expectations.places import absolute

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PROJECT = Path(__file__).parent.parent.parent / "dbt_project"

INCREMENT = ("path:models/silver",)
"""What an increment builds. Gold is views onto it."""


class DbtError(TollgateError):
    """dbt could not do what it was asked for."""


@contextmanager
def warehouse_alone(lake: Lake, timeout_seconds: float = -1) -> Iterator[None]:
    """Holds the lake's warehouse lock: dbt and publications exclude each other. By default it waits its turn.

    Raises:
        LakeBusy: another process held it for so long.
    """
    lake.locks.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lake.locks / "warehouse.lock", timeout=timeout_seconds):
            yield
    except Timeout as error:
        raise LakeBusy("the warehouse is being worked on", where=lake.warehouse, remedy="try again later") from error


def dbt_folder(lake: Lake) -> Path:
    """Where dbt puts its log and what it compiles: within the gates."""
    return lake.warehouse.parent.resolve() / "dbt"


def set_environment(lake: Lake) -> None:
    """Tells dbt, in this process and those that it starts, where the warehouse and bronze are."""
    lake.warehouse.parent.mkdir(parents=True, exist_ok=True)
    os.environ["TOLLGATE_WAREHOUSE"] = str(lake.warehouse.resolve())
    os.environ["TOLLGATE_BRONZE"] = absolute(lake.table("payments_raw_bronze"))
    os.environ["DBT_LOG_PATH"] = os.environ["DBT_TARGET_PATH"] = str(dbt_folder(lake))
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"


def generation(lake: Lake) -> str:
    """Names the state of silver's older rows: another one after something was built anew. Hold the warehouse lock."""
    with duckdb.connect(str(lake.warehouse), read_only=True) as connection:
        rebuilds = connection.execute("SELECT invocation FROM silver.rebuilds ORDER BY 1").fetchall()
    return fingerprint("".join(invocation for (invocation,) in rebuilds).encode())[:16]


class WarmDbt:
    """dbt on one lake. Call it while holding the warehouse lock."""

    def __init__(self, lake: Lake):
        self._lake = lake

    def run(
        self,
        selection: Sequence[str] = INCREMENT,
        command: str = "run",
        wall_clock: datetime | None = None,
        rebuild_day: date | None = None,
        full_refresh: bool = False,
    ) -> None:
        """One dbt command over a selection.

        Args:
            selection: as dbt's `--select` takes it.
            command: run, seed, test or build.
            wall_clock: what gold takes for now while the company is at work; else it is the latest event in silver.
            rebuild_day: a UTC day whose derived columns and rollups are made anew.
            full_refresh: everything from the whole of bronze.

        Raises:
            DbtError: a model or a test failed; names the first.
        """
        from dbt.cli.main import dbtRunner

        set_environment(self._lake)
        runner = dbtRunner(manifest=_parsed_project())
        arguments = [command, *_WHERE, "--select", *selection]
        variables = {"wall_clock": wall_clock, "rebuild_day": rebuild_day}
        arguments += ["--vars", json.dumps({name: value.isoformat() for name, value in variables.items() if value})]
        if full_refresh:
            arguments.append("--full-refresh")
        try:
            _raise_failure(runner.invoke(arguments), command)
        finally:
            _close_warehouse()


_WHERE = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--quiet", "--no-write-json"]


@cache
def _parsed_project() -> "Manifest":
    """The project, parsed once in this process. It is the same for every lake."""
    from dbt.cli.main import dbtRunner

    result = dbtRunner().invoke(["parse", *_WHERE])
    _raise_failure(result, "parse")
    return result.result


def _close_warehouse() -> None:
    """dbt would keep the file open, and every other process out."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()


def _raise_failure(result: "object", command: str) -> None:
    if result.success:
        return
    if result.exception is not None:
        raise DbtError(f"dbt {command}: {result.exception}")
    failed = [node for node in result.result if node.status not in ("success", "pass", "skipped", "warn")]
    reason = " ".join((failed[0].message or "").split())[:500] if failed else "no reason given"
    name = failed[0].node.name if failed else "?"
    raise DbtError(f"dbt {command}: {name}: {reason}", remedy="mend the model, or what it reads")

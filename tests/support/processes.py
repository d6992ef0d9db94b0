"""Running `tollgate` as a user does: as a process, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

TIMEOUT_SECONDS = 540


def tollgate(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in `folder` with nothing of this process's Tollgate or Dagster settings; returns how it ended."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )


def command(*arguments: str) -> list[str]:
    """The command line of `tollgate`. As the installed script does, it imports nothing from the folder it runs in."""
    return [sys.executable, "-P", "-m", "orchestration.cli", *arguments]


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of Tollgate and Dagster."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TOLLGATE_", "DAGSTER_")) and name != "SPARK_HOME"
    } | {"COLUMNS": "200"}

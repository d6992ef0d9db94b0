"""Where the Dagster instance of this place keeps its records."""

import os
import shutil
from pathlib import Path

import dagster as dg

from expectations.settings import HOME

_TEMPLATE = Path(__file__).with_name("dagster.yaml")


def prepare_dagster_home() -> Path:
    """The configured DAGSTER_HOME, or one below `.tollgate`; with our `dagster.yaml` where it has none."""
    home = Path(os.environ.get("DAGSTER_HOME") or HOME / "dagster").resolve()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(_TEMPLATE, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def take_turns(pool: str) -> None:
    """Makes Dagster know a pool before its first run: until it does, it lets several through at once."""
    with dg.DagsterInstance.get() as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default(pool)

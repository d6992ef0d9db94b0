"""The dbt project as Dagster sees it: its manifest, and how its models become assets of the one graph."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource
from filelock import FileLock

from expectations.errors import TollgateError
from orchestration.house_rules import DATA_ENGINEERS
from orchestration.medallion.dbt_runner import PROJECT

DBT = Path(sys.executable).with_name("dbt")

_MANIFEST = PROJECT / "target" / "manifest.json"
_SOURCES = ("dbt_project.yml", "profiles.yml", "models/**/*", "macros/**/*", "tests/**/*", "seeds/**/*")


@cache
def manifest() -> Path:
    """The parsed project: the one thing that is read while definitions load. Parsed anew where a file is newer."""
    _MANIFEST.parent.mkdir(exist_ok=True)
    with FileLock(_MANIFEST.with_suffix(".lock")):
        if not _is_fresh():
            _parse()
    return _MANIFEST


def _is_fresh() -> bool:
    newest = max(path.stat().st_mtime for pattern in _SOURCES for path in PROJECT.glob(pattern))
    return _MANIFEST.exists() and _MANIFEST.stat().st_mtime >= newest


def _parse() -> None:
    where = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    done = subprocess.run([str(DBT), "parse", "--quiet", *where], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TollgateError(f"the dbt project does not parse: {done.stdout.strip()[-800:]}", where=PROJECT)


def dbt_resource() -> DbtCliResource:
    """dbt as runs start it."""
    return DbtCliResource(project_dir=str(PROJECT), profiles_dir=str(PROJECT), dbt_executable=str(DBT))


class OneGraph(DagsterDbtTranslator):
    """A model is called what it is called in dbt, beside the other assets; its layer is its group."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey(dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return dbt_resource_props["config"].get("group") or super().get_group_name(dbt_resource_props)

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str]:
        return DATA_ENGINEERS

"""The medallion killed by SIGKILL, at its commit points and at random moments, and run again.

Real processes. What readers see is compared with what an undisturbed lake shows: the files byte for byte.
"""

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from expectations.catalog import Lake
from orchestration.mart import current_names
from orchestration.query import run_query
from tests.support.bronze import INGESTED_AT, land, mixed_rows, new_lake
from tests.support.processes import TIMEOUT_SECONDS, clean_environment, command, tollgate

pytestmark = pytest.mark.fault

ROWS = mixed_rows(900, seed=23)
FIRST, SECOND = ROWS[:400], ROWS[400:]
FROZEN = {"TOLLGATE_FROZEN_CLOCK": INGESTED_AT.isoformat()}
RANDOM_KILLS = 2


def published_files(lake: Lake) -> dict[str, bytes]:
    """Every file that a reader may open, but for locks."""
    return {
        str(path.relative_to(lake.marts)): path.read_bytes()
        for path in sorted(lake.marts.rglob("*"))
        if path.suffix in (".parquet", ".json") and not path.name.startswith(".")
    }


def publish(lake: Lake, **environment: str) -> subprocess.CompletedProcess[str]:
    return tollgate(lake.root.parent, "publish", "--lake", str(lake.root), **FROZEN, **environment)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    """What readers see after both stretches, and how long the second took."""
    lake = new_lake(tmp_path_factory.mktemp("undisturbed") / "lake", FIRST)
    assert publish(lake).returncode == 0
    land(lake, SECOND)
    started = time.monotonic()
    assert publish(lake).returncode == 0
    return published_files(lake), time.monotonic() - started


def rows_published(lake: Lake) -> int:
    (found,) = run_query(
        lake,
        "SELECT (SELECT count(*) FROM silver.payments_enriched_silver) + (SELECT count(*) FROM "
        "silver.payments_quarantine) + (SELECT count(*) FROM silver.payments_duplicates) AS rows",
    ).to_pylist()
    return found["rows"]


def test_killed_anywhere_readers_see_the_old_or_the_new_and_in_the_end_the_new(tmp_path: Path, undisturbed):
    expected, duration_s = undisturbed
    lake, moments = new_lake(tmp_path / "lake", FIRST), random.Random(4)
    assert publish(lake).returncode == 0
    land(lake, SECOND)
    for point in ("dbt", "silver files", "current"):
        assert publish(lake, TOLLGATE_FAULT_POINT=point).returncode == -signal.SIGKILL, point
        assert rows_published(lake) in (len(FIRST), len(ROWS))
        if point != "current":
            continue
        # The versions are the new ones, and the file of views is the old one until somebody publishes again.
        assert set(current_names(lake)) == {"gold", "silver"}
    for _ in range(RANDOM_KILLS):
        kill_after(moments.uniform(0.3, 1.0) * duration_s, lake)
        assert rows_published(lake) in (len(FIRST), len(ROWS))
    last = publish(lake)
    assert last.returncode == 0, last.stderr
    assert published_files(lake) == expected


def kill_after(seconds: float, lake: Lake) -> None:
    process = subprocess.Popen(
        command("publish", "--lake", str(lake.root)),
        cwd=lake.root.parent,
        env=clean_environment() | FROZEN,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(TIMEOUT_SECONDS)

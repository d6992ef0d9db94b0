"""The medallion killed by SIGKILL, at its commit points and at random moments, and run again.

Real processes. What readers see is compared with what an undisturbed lake shows: the files byte for byte.
"""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from expectations.catalog import Lake
from expectations.clock import frozen_clock
from orchestration.mart import current_names
from orchestration.medallion.increments import Medallion
from orchestration.query import run_query
from tests.support.bronze import INGESTED_AT, land, mixed_rows, new_lake
from tests.support.processes import TIMEOUT_SECONDS, clean_environment, command, tollgate
from tests.support.warehouse import copied

pytestmark = pytest.mark.fault

ROWS = mixed_rows(900, seed=23)
FIRST, SECOND = ROWS[:400], ROWS[400:]
FROZEN = {"TOLLGATE_FROZEN_CLOCK": INGESTED_AT.isoformat()}


def published_files(lake: Lake) -> dict[str, bytes]:
    """Every file that a reader may open, but for locks."""
    return {
        str(path.relative_to(lake.marts)): path.read_bytes()
        for path in sorted(lake.marts.rglob("*"))
        if path.suffix in (".parquet", ".json") and not path.name.startswith(".")
    }


def publish(lake: Lake) -> None:
    """Brings the lake to readers, in this process."""
    assert Medallion(lake, frozen_clock(INGESTED_AT)).increment().publication.is_published


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The first stretch is published, the second has landed. Never write to it: copy it."""
    lake = new_lake(tmp_path_factory.mktemp("first") / "lake", FIRST)
    publish(lake)
    land(lake, SECOND)
    return lake


@pytest.fixture(scope="module")
def undisturbed(first: Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What readers see after both stretches."""
    lake = copied(first, tmp_path_factory.mktemp("undisturbed") / "lake")
    publish(lake)
    return published_files(lake)


def rows_published(lake: Lake) -> int:
    (found,) = run_query(
        lake,
        "SELECT (SELECT count(*) FROM silver.payments_enriched_silver) + (SELECT count(*) FROM "
        "silver.payments_quarantine) + (SELECT count(*) FROM silver.payments_duplicates) AS rows",
    ).to_pylist()
    return found["rows"]


@pytest.fixture
def lake(first: Lake, tmp_path: Path) -> Lake:
    """Where publishers are to die."""
    return copied(first, tmp_path / "lake")


def test_killed_at_every_commit_point_in_turn(lake: Lake, undisturbed):
    """Readers see the old or the new, and in the end the new."""
    for point in ("dbt", "silver files", "current"):
        died = tollgate(lake.root.parent, "publish", "--lake", str(lake.root), TOLLGATE_FAULT_POINT=point, **FROZEN)
        assert died.returncode == -signal.SIGKILL, point
        assert rows_published(lake) in (len(FIRST), len(ROWS))
    # The versions are the new ones, and the file of views is the old one until somebody publishes again.
    assert set(current_names(lake)) == {"gold", "silver"}
    last = tollgate(lake.root.parent, "publish", "--lake", str(lake.root), **FROZEN)
    assert last.returncode == 0, last.stderr
    assert published_files(lake) == undisturbed


def test_killed_at_random_moments(lake: Lake, undisturbed):
    """Some time after it has begun to write."""
    chance = random.Random()
    for after_seconds in (chance.uniform(0, 4), chance.uniform(1, 8)):
        print(f"killed {after_seconds:.3f} s after it began to write")
        die_some_time(lake, after_seconds)
        assert rows_published(lake) in (len(FIRST), len(ROWS))
    publish(lake)
    assert published_files(lake) == undisturbed


def die_some_time(lake: Lake, after_seconds: float) -> None:
    """Kills a publisher so long after it has begun to write; one that is quicker has done its work."""
    before = lake.warehouse.stat()
    with subprocess.Popen(
        command("publish", "--lake", str(lake.root)),
        cwd=lake.root.parent,
        env=clean_environment() | FROZEN,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while process.poll() is None and not has_begun(lake, before):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(after_seconds)
        process.kill()


def has_begun(lake: Lake, before: os.stat_result) -> bool:
    """DuckDB writes ahead of its file."""
    log = lake.warehouse.with_name(f"{lake.warehouse.name}.wal")
    return log.exists() or lake.warehouse.stat().st_mtime_ns != before.st_mtime_ns

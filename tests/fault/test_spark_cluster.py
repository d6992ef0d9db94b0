"""The detector on a Spark cluster of two workers, one of which dies; and with the Delta connector for delta-rs."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from expectations import delta
from expectations.catalog import Lake
from expectations.settings import Settings
from orchestration.detection.assemble import make_detector
from spark_jobs.bronze_rebuild import rebuild
from spark_jobs.connector import PACKAGE
from spark_jobs.pattern_detector import state
from tests.support.banksim_like import CHUNK_SIZE, ROWS, chunked_lake
from tests.support.lake_contents import rows
from tests.support.processes import TIMEOUT_SECONDS, clean_environment, command, tollgate
from tests.support.spark_cluster import SparkCluster, spark_cluster
from tests.support_naive.lakes import outcome
from tests.support_naive.logs import NOW, landed_rows
from tests.support_naive.recomputation import Recomputed, recompute

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.fault, pytest.mark.spark]

FROZEN = {"TOLLGATE_FROZEN_CLOCK": NOW.isoformat()}
CONNECTOR = {"TOLLGATE_DELTA_CONNECTOR": "true", "TOLLGATE_SPARK_PACKAGES": json.dumps([PACKAGE])}
NOT_TO_BE_HAD = ("unresolved dependency", "Server access error", "UNRESOLVED DEPENDENCIES")


@dataclass(frozen=True)
class Chunked:
    """A lake that a log was worked into, and what a detector must make of it."""

    lake: Path
    cells: int
    expected: Recomputed


@pytest.fixture(scope="module")
def chunked(tmp_path_factory: pytest.TempPathFactory) -> Chunked:
    folder = tmp_path_factory.mktemp("chunked")
    lake, cells = chunked_lake(folder)
    return Chunked(lake.root, cells, recompute(landed_rows(lake, CHUNK_SIZE), cells))


@pytest.fixture
def folder(chunked: Chunked, tmp_path: Path) -> Path:
    """A working directory with that lake."""
    shutil.copytree(chunked.lake, tmp_path / "lake")
    return tmp_path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    with spark_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def rebuilt(chunked: Chunked, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A lake whose bronze delta-rs has begun to make anew, and the connector has ended; None without its package."""
    folder = tmp_path_factory.mktemp("rebuilt")
    shutil.copytree(chunked.lake, folder / "lake")
    lake = Lake(folder / "lake")
    shutil.rmtree(lake.table("payments_raw_bronze"))
    begun = rebuild(lake, None)
    assert next(begun) == 64 * CHUNK_SIZE
    begun.close()
    done = tollgate(folder, "rebuild-bronze", "--lake", "lake", **CONNECTOR)
    log = folder / ".tollgate" / "logs" / "spark.log"
    if done.returncode and any(word in log.read_text(errors="replace") for word in NOT_TO_BE_HAD):
        return None
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{ROWS - 64 * CHUNK_SIZE:,} rows written" in done.stdout
    return folder / "lake"


def test_bronze_that_both_engines_wrote_is_the_chunkers(chunked: Chunked, rebuilt: Path | None):
    """The connector counts what delta-rs wrote, and goes on at its position; delta-rs reads what both wrote."""
    if rebuilt is None:
        pytest.skip(f"{PACKAGE} cannot be had here")
    ours, theirs = (rows(Lake(lake), "payments_raw_bronze", "_row_number") for lake in (rebuilt, chunked.lake))
    assert [row | {"_ingested_at": None} for row in ours] == [row | {"_ingested_at": None} for row in theirs]
    assert delta.position(delta.open_table(Lake(rebuilt).table("payments_raw_bronze")), "chunker") == len(theirs)


def test_a_worker_dies_in_the_middle(
    chunked: Chunked, rebuilt: Path | None, folder: Path, cluster: SparkCluster, spark: "SparkSession"
):
    """As soon as it has written something of a micro-batch; its work is done again by the other one.

    The first micro-batch is this process's, by delta-rs. On the cluster the connector goes on from there, where its
    package can be had.
    """
    lake = Lake(folder / "lake")
    first = make_detector(Settings(lake=lake.root, frozen_clock=NOW), spark).work_once()
    assert 0 < first.last_cell + 1 < chunked.cells
    before = state_files(lake)
    with subprocess.Popen(
        command("detect", "--lake", "lake"),
        cwd=folder,
        env=clean_environment() | FROZEN | cluster.settings | (CONNECTOR if rebuilt else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while state_files(lake) == before:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        assert cluster.executors(0) and cluster.executors(1), "both have a part in it"
        cluster.kill(0)
        output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, output + errors
    assert cluster.workers[0].wait() == -signal.SIGKILL and cluster.workers[1].poll() is None
    outcome(lake).agrees_with(chunked.expected)
    assert state.committed_cells(lake.table("pattern_state")) == chunked.cells
    last, *_ = delta.open_table(lake.table("pattern_state")).history(1)
    assert ("Delta-Lake" in (last.get("engineInfo") or "")) == (rebuilt is not None)


def state_files(lake: Lake) -> int:
    """How many files of the state there are, committed or not."""
    return len([*lake.table("pattern_state").rglob("*.parquet")])

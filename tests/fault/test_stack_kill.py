"""The whole live stack killed and started again: the lake ends as if nothing had happened."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from data.simulate import write_log
from expectations import delta
from expectations.catalog import Lake
from expectations.settings import Settings
from expectations.tables import DETECTIONS, PAYMENTS_RAW_BRONZE
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.follow import drain
from orchestration.detection.assemble import make_detector
from orchestration.medallion.gate import GOLD_VIEWS
from orchestration.medallion.increments import Medallion
from orchestration.medallion.publishing import published_rows
from orchestration.query import run_query
from spark_jobs.pattern_detector import stream
from spark_jobs.pattern_detector.state import committed_cells, current_state
from tests.support.processes import clean_environment, command

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.fault, pytest.mark.spark, pytest.mark.timeout(600)]

ROWS, CHUNK_SIZE = 12_000, 1_000
FROZEN = "2026-11-05T12:00:00+00:00"
SETTINGS = {"TOLLGATE_CHUNK_SIZE": str(CHUNK_SIZE), "TOLLGATE_FROZEN_CLOCK": FROZEN, "TOLLGATE_TOKEN_KEY": "k" * 40}


def test_a_killed_stack_recovers_by_itself(tmp_path: Path, spark: "SparkSession"):
    """SIGKILL to everything while ticks and the streaming run are going on; the second stack replaces the ghost run."""
    log = tmp_path / ".tollgate" / "source" / "company.csv"
    log.parent.mkdir(parents=True)
    write_log(log, ROWS, seed=11)
    lake = Lake(tmp_path / ".tollgate" / "lake")
    first = start_stack(tmp_path)
    try:
        wait_until(lambda: lake.detector_lease.exists(), first)
    finally:
        kill_all(first)
    assert committed_cells(lake.table("pattern_state")) < ROWS // CHUNK_SIZE, "the kill came too late to prove anything"
    second = start_stack(tmp_path)
    try:
        wait_until(lambda: committed_cells(lake.table("pattern_state")) == ROWS // CHUNK_SIZE, second)
        wait_until(lambda: published_rows(lake) == ROWS, second, seconds=240)
    finally:
        kill_all(second)
    compare(lake, undisturbed(tmp_path / "calm", log, spark))


def undisturbed(root: Path, log: Path, spark: "SparkSession") -> Lake:
    """The same log worked off step by step in this process."""
    settings = Settings(
        lake=root, log=log, chunk_size=CHUNK_SIZE, frozen_clock=FROZEN, token_key=SETTINGS["TOLLGATE_TOKEN_KEY"]
    )
    chunker = make_chunker(settings)
    with chunker.alone():
        assert len([*drain(chunker, is_final=True)]) == ROWS // CHUNK_SIZE
    assert [*stream.work_off(make_detector(settings, spark), "undisturbed")]
    assert Medallion(chunker.lake, settings.clock).increment().publication.is_published
    return chunker.lake


def compare(lake: Lake, calm: Lake) -> None:
    chunks = sorted(path.name for path in calm.landing.glob("chunk_*"))
    assert [path.name for path in sorted(lake.landing.glob("chunk_*"))] == chunks
    for name in chunks:
        assert (lake.landing / name).read_bytes() == (calm.landing / name).read_bytes()
    for schema, order in ((PAYMENTS_RAW_BRONZE, "_row_number"), (DETECTIONS, "sequence")):
        rows = [delta.read_rows(place.table(schema.name), schema, order_by=[order]) for place in (lake, calm)]
        assert rows[0].equals(rows[1])
    for view in ("silver.payments_enriched_silver", *(f"gold.{view}" for view in GOLD_VIEWS)):
        published = [run_query(place, f"SELECT * FROM {view} ORDER BY ALL") for place in (lake, calm)]
        assert published[0].equals(published[1]), view
    assert current_state(lake.table("pattern_state")).equals(current_state(calm.table("pattern_state")))


def start_stack(place: Path) -> subprocess.Popen:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(place / "stack.log", "ab") as output:
        return subprocess.Popen(
            command("ui", "--rate", "0", "--port", str(port)),
            cwd=place,
            env=clean_environment() | SETTINGS,
            stdout=output,
            stderr=output,
        )


def kill_all(stack: subprocess.Popen) -> None:
    """SIGKILL to the stack and to all that it started; nobody gets a chance to tidy up."""
    processes = [*psutil.Process(stack.pid).children(recursive=True), psutil.Process(stack.pid)]
    for process in processes:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    psutil.wait_procs(processes, timeout=20)
    stack.wait()


def wait_until(is_reached: Callable[[], bool], stack: subprocess.Popen, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not is_reached():
        assert stack.poll() is None, "the stack has ended by itself"
        assert time.monotonic() < deadline, "the stack did not get there in time"
        time.sleep(0.25)

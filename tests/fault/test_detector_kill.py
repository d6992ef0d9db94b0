"""The detector killed by SIGKILL, at each of its commit points and at random moments, and run again.

Real processes and the real thresholds. What they leave is compared with what an undisturbed one leaves: the files
byte for byte, the tables row for row.
"""

import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from expectations.catalog import Lake
from expectations.places import files_below
from expectations.settings import Settings
from orchestration.detection.assemble import make_detector
from spark_jobs.pattern_detector import state, stream
from spark_jobs.pattern_detector.detector import CELLS_PER_BATCH
from tests.support.banksim_like import CHUNK_SIZE, chunked_lake
from tests.support.processes import TIMEOUT_SECONDS, clean_environment, command, tollgate
from tests.support_naive.lakes import Outcome, outcome
from tests.support_naive.logs import NOW, landed_rows
from tests.support_naive.recomputation import recompute

pytestmark = [pytest.mark.fault, pytest.mark.spark]

FROZEN = {"TOLLGATE_FROZEN_CLOCK": NOW.isoformat()}


@dataclass(frozen=True)
class Chunked:
    """A lake that a log was worked into, and what a detector must make of it."""

    folder: Path
    undisturbed: Outcome


@pytest.fixture(scope="module")
def chunked(tmp_path_factory, spark) -> Chunked:
    folder = tmp_path_factory.mktemp("chunked")
    lake, cells = chunked_lake(folder)
    assert CELLS_PER_BATCH < cells <= 2 * CELLS_PER_BATCH, "the detector is to need two micro-batches"
    expected = recompute(landed_rows(lake, CHUNK_SIZE), cells)
    quiet = Lake(tmp_path_factory.mktemp("undisturbed") / "lake")
    shutil.copytree(lake.root, quiet.root)
    work_off(quiet, spark)
    found = outcome(quiet)
    found.agrees_with(expected)
    assert {row["action_type"] for row in found.detections} == {"UPGRADE", "CHILD", "DEI-NEEDED"}
    assert len(found.files) >= 2
    return Chunked(folder, found)


@pytest.fixture
def lake(chunked, tmp_path) -> Lake:
    """Where detectors are to die: a lake that was chunked, and not detected yet."""
    shutil.copytree(chunked.folder / "lake", tmp_path / "lake")
    return Lake(tmp_path / "lake")


def work_off(lake: Lake, spark) -> None:
    """Works off what waits, or what a killed detector left, in this process, whose session is warm already."""
    [*stream.work_off(make_detector(Settings(lake=lake.root, frozen_clock=NOW), spark), "successor")]


def die(folder: Path, lake: Lake, fault_point: str) -> None:
    """Runs a detector that dies at a commit point."""
    died = tollgate(folder, "detect", "--lake", str(lake.root), TOLLGATE_FAULT_POINT=fault_point, **FROZEN)
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr


# What the outbox holds is written to files before anything else, whoever put it there.
COMMIT_POINTS = ("outbox", "file_written", "file_entered", "status", "state", "evaluated")


def test_killed_at_every_commit_point_in_turn(chunked, lake, tmp_path, spark):
    """Each detector dies one step after the one before it; every other one finds no checkpoint of Spark's."""
    loses_checkpoint = itertools.cycle([True, False])
    committed = []
    for fault_point in COMMIT_POINTS:
        die(tmp_path, lake, fault_point)
        committed.append(state.committed_cells(lake.table("pattern_state")))
        if next(loses_checkpoint):
            shutil.rmtree(lake.detector_checkpoint, ignore_errors=True)
    assert committed == [0, 0, 0, 0, CELLS_PER_BATCH, CELLS_PER_BATCH]
    work_off(lake, spark)
    assert outcome(lake) == chunked.undisturbed


def test_killed_on_s3(chunked, s3_folder, tmp_path, monkeypatch, spark):
    """As on a disk; the checkpoint is on the machine that died, and its successor has another one."""
    lake = Lake(s3_folder / "lake")
    for path in files_below(chunked.folder / "lake"):
        (lake.root / str(path.relative_to(chunked.folder / "lake"))).upload(path)
    die(tmp_path, lake, "file_entered:2")
    assert outcome(lake) != chunked.undisturbed
    monkeypatch.chdir(chunked.folder)
    work_off(lake, spark)
    assert outcome(lake) == chunked.undisturbed


def test_killed_at_random_moments(chunked, lake, tmp_path, spark):
    """Twice, some time after it began to write, with the checkpoint lost each time."""
    rng = random.Random()
    for after_seconds in (rng.uniform(0, 4), rng.uniform(0, 2)):
        die_some_time(tmp_path, lake, after_seconds)
        shutil.rmtree(lake.detector_checkpoint, ignore_errors=True)
    work_off(lake, spark)
    assert outcome(lake) == chunked.undisturbed


def die_some_time(folder: Path, lake: Lake, after_seconds: float) -> None:
    """Kills a detector so long after it has begun to write; one that is quicker has done its work."""
    print(f"killed {after_seconds:.3f} s after it began to write")
    begin = time.monotonic()
    before = written(lake)
    with subprocess.Popen(
        command("detect", "--lake", "lake"),
        cwd=folder,
        env=clean_environment() | FROZEN,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and written(lake) == before:
            assert time.monotonic() - begin < TIMEOUT_SECONDS
            time.sleep(0.02)
        time.sleep(after_seconds)
        process.kill()


def written(lake: Lake) -> int:
    """How many files there are of the detector's tables and of its stream."""
    folders = (lake.root / "patterns", lake.detector_checkpoint)
    return sum(len(files) for folder in folders for _, _, files in os.walk(folder))

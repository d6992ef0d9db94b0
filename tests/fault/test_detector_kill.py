"""The detector killed by SIGKILL, at each of its commit points and at random moments, and run again.

Real processes and the real thresholds. What they leave is compared with what an undisturbed one leaves: the files
byte for byte, the tables row for row.
"""

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
from spark_jobs.pattern_detector import stream
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
def chunked(tmp_path_factory) -> Chunked:
    folder = tmp_path_factory.mktemp("chunked")
    lake, cells = chunked_lake(folder)
    assert CELLS_PER_BATCH < cells <= 2 * CELLS_PER_BATCH, "the detector is to need two micro-batches"
    expected = recompute(landed_rows(lake, CHUNK_SIZE), cells)
    quiet = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(lake.root, quiet / "lake")
    detect(quiet)
    found = outcome(Lake(quiet / "lake"))
    found.agrees_with(expected)
    assert {row["action_type"] for row in found.detections} == {"UPGRADE", "CHILD", "DEI-NEEDED"}
    assert len(found.files) >= 2
    return Chunked(folder, found)


@pytest.fixture
def folder(chunked, tmp_path) -> Path:
    """Where a detector is to die: with a lake that was chunked, and not detected yet."""
    shutil.copytree(chunked.folder / "lake", tmp_path / "lake")
    return tmp_path


def detect(folder: Path) -> None:
    """Runs the detector to its end."""
    done = tollgate(folder, "detect", "--lake", "lake", **FROZEN)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("fault_point", "loses_checkpoint"),
    [
        ("evaluated:2", True),
        ("outbox:1", False),
        ("status:2", False),
        ("state:1", True),
        ("file_written:1", False),
        ("file_entered:2", True),
    ],
)
def test_killed_at_a_commit_point(chunked, folder, spark, fault_point, loses_checkpoint):
    """Its successor is this process, whose session is warm already."""
    died = tollgate(folder, "detect", "--lake", "lake", TOLLGATE_FAULT_POINT=fault_point, **FROZEN)
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
    lake = Lake(folder / "lake")
    assert outcome(lake) != chunked.undisturbed
    if loses_checkpoint:
        shutil.rmtree(lake.detector_checkpoint)
    succeed(lake, spark)
    assert outcome(lake) == chunked.undisturbed


def test_killed_on_s3(chunked, s3_folder, tmp_path, monkeypatch, spark):
    """As on a disk; the checkpoint is on the machine that died, and its successor has another one."""
    lake = Lake(s3_folder / "lake")
    for path in files_below(chunked.folder / "lake"):
        (lake.root / str(path.relative_to(chunked.folder / "lake"))).upload(path)
    died = tollgate(tmp_path, "detect", "--lake", str(lake.root), TOLLGATE_FAULT_POINT="file_entered:2", **FROZEN)
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
    assert outcome(lake) != chunked.undisturbed
    monkeypatch.chdir(chunked.folder)
    succeed(lake, spark)
    assert outcome(lake) == chunked.undisturbed


def test_killed_at_random_moments(chunked, folder, spark):
    """Twice, some time after it began to write, with the checkpoint lost each time."""
    lake, rng = Lake(folder / "lake"), random.Random()
    for after_seconds in (rng.uniform(0, 4), rng.uniform(0, 2)):
        die_some_time(folder, lake, after_seconds)
        shutil.rmtree(lake.detector_checkpoint, ignore_errors=True)
    succeed(lake, spark)
    assert outcome(lake) == chunked.undisturbed


def succeed(lake: Lake, spark) -> None:
    """Works off what a killed detector left."""
    [*stream.work_off(make_detector(Settings(lake=lake.root, frozen_clock=NOW), spark), "successor")]


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

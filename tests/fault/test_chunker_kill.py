"""The chunker as a real process, killed by SIGKILL: run again, it leaves what an undisturbed run leaves.

On S3, where no lock keeps others out, two of them race for the same log.
"""

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from expectations.catalog import Lake
from expectations.landing import list_chunks
from expectations.offset import read_offset
from expectations.places import Location
from expectations.s3 import S3Path
from expectations.settings import Settings
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.audit import check_lake
from orchestration.chunking.follow import drain
from tests.support import lake_contents
from tests.support.card_data import TOKEN_KEY
from tests.support.payment_logs import csv_log, numbered, payment
from tests.support.processes import clean_environment, command

pytestmark = pytest.mark.fault

ROWS, CHUNK_SIZE = 4_500, 1_000
CELLS = -(-ROWS // CHUNK_SIZE)
SETTINGS = {"TOLLGATE_FROZEN_CLOCK": "2026-11-20T12:00:00+00:00", "TOLLGATE_TOKEN_KEY": TOKEN_KEY.decode()}
POINTS = ("claim", "quarantine", "chunk", "bronze", "offset")
TABLES = (("payments_raw_bronze", "_row_number"), ("source_quarantine", "entry_number"))


@dataclass(frozen=True)
class Undisturbed:
    """A log, the lake that one run made of it, and how long that run took."""

    log: Path
    lake: Lake
    seconds: float


def start(log: Location, lake: Location, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Starts the command in a folder, in which it has its locks where the lake is on S3."""
    arguments = ("chunk", "--log", str(log), "--lake", str(lake), "--chunk-size", str(CHUNK_SIZE), "--final")
    return subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=clean_environment() | SETTINGS | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """How a process ended, and what it said in the end."""
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A log with a bad line in every cell, worked off in one run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    lines = numbered(ROWS)
    for bad in range(7, ROWS, 331):
        lines[bad] = payment(amount="x", transaction_id=f"T{bad}")
    (folder / "log.csv").write_bytes(csv_log(lines))
    began = time.monotonic()
    assert finish(start(folder / "log.csv", folder / "lake", folder)) == (0, "")
    lake = Lake(folder / "lake")
    assert len(list_chunks(lake.landing)) == CELLS
    assert {row["entry_number"] // CHUNK_SIZE for row in lake_contents.rows(lake, *TABLES[1])} == {*range(CELLS)}
    return Undisturbed(folder / "log.csv", lake, time.monotonic() - began)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """A new folder: on a disk, or on S3 where the test asks for that."""
    return request.getfixturevalue("s3_folder") if getattr(request, "param", "disk") == "s3" else tmp_path


def log_at(place: Location, undisturbed: Undisturbed) -> Location:
    """The log, at this place."""
    log = place / "log.csv"
    log.write_bytes(undisturbed.log.read_bytes())
    return log


ANYWHERE = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)


def assert_ends_alike(undisturbed: Undisturbed, lake: Lake) -> None:
    """One more run, of which this process is as good as another, completes the lake: byte for byte, row for row."""
    settings = Settings(
        log=lake.root.parent / "log.csv",
        lake=lake.root,
        chunk_size=CHUNK_SIZE,
        token_key=SETTINGS["TOLLGATE_TOKEN_KEY"],
        frozen_clock=SETTINGS["TOLLGATE_FROZEN_CLOCK"],
    )
    chunker = make_chunker(settings)
    with chunker.alone():
        for _ in drain(chunker, is_final=True):
            pass
    assert lake_contents.landing_files(lake) == lake_contents.landing_files(undisturbed.lake)
    assert lake.offset_file.read_bytes() == undisturbed.lake.offset_file.read_bytes()
    for table, key in TABLES:
        assert lake_contents.rows(lake, table, key) == lake_contents.rows(undisturbed.lake, table, key)
    assert not [outcome for outcome in check_lake(lake, []) if not outcome.passed]


LATER_POINTS = ("claim:3", "quarantine:2", "chunk:3", "bronze:2", f"bronze:{CELLS}", f"offset:{CELLS}")


@pytest.mark.parametrize("point", LATER_POINTS)
def test_killed_at_a_later_commit_point(undisturbed: Undisturbed, place: Location, tmp_path: Path, point: str):
    log, lake = log_at(place, undisturbed), Lake(place / "lake")
    assert finish(start(log, lake.root, tmp_path, TOLLGATE_FAULT_POINT=point)) == (-signal.SIGKILL, "")
    name, _, count = point.partition(":")
    committed = int(count or 1) - (name != "offset")
    offset = read_offset(lake.offset_file)
    assert (offset.entries if offset else 0) == min(committed * CHUNK_SIZE, ROWS)
    assert_ends_alike(undisturbed, lake)


@ANYWHERE
def test_killed_at_every_commit_point_in_turn(undisturbed: Undisturbed, place: Location, tmp_path: Path):
    """Each run dies at the next point; what the one before left is completed on the way."""
    log, lake = log_at(place, undisturbed), Lake(place / "lake")
    for point in POINTS:
        assert finish(start(log, lake.root, tmp_path, TOLLGATE_FAULT_POINT=point)) == (-signal.SIGKILL, "")
    assert finish(start(log, lake.root, tmp_path)) == (0, "")
    assert_ends_alike(undisturbed, lake)


@pytest.mark.parametrize("part", [0.4, 0.7, 0.85])
def test_killed_at_some_moment(undisturbed: Undisturbed, tmp_path: Path, part: float):
    """Wherever it is by then: it may not have begun, or be in the middle of a file."""
    log, lake = log_at(tmp_path, undisturbed), Lake(tmp_path / "lake")
    process = start(log, lake.root, tmp_path)
    time.sleep(undisturbed.seconds * part)
    process.kill()
    finish(process)
    assert_ends_alike(undisturbed, lake)


@pytest.mark.parametrize("chunks", [1, 3])
def test_killed_while_it_works(undisturbed: Undisturbed, place: Location, tmp_path: Path, chunks: int):
    """As soon as so many chunks are there, whatever it does just then."""
    log, lake = log_at(place, undisturbed), Lake(place / "lake")
    process = start(log, lake.root, tmp_path)
    while process.poll() is None and len(list_chunks(lake.landing)) < chunks:
        time.sleep(0.001)
    process.kill()
    finish(process)
    assert_ends_alike(undisturbed, lake)


def test_a_second_chunker_says_so_and_the_first_goes_on(undisturbed: Undisturbed, tmp_path: Path):
    """The lock is the operating system's: it ends with the process that holds it, however that ends."""
    log, lake = log_at(tmp_path, undisturbed), Lake(tmp_path / "lake")
    first = start(log, lake.root, tmp_path)
    while not list_chunks(lake.landing):
        assert first.poll() is None
        time.sleep(0.001)
    psutil.Process(first.pid).suspend()
    try:
        code, errors = finish(start(log, lake.root, tmp_path))
        assert code == 2 and "another chunker is working on this lake" in errors and errors.count("\n") == 1
    finally:
        first.kill()
    finish(first)
    assert_ends_alike(undisturbed, lake)


@pytest.mark.parametrize("is_one_killed", [False, True], ids=["both live", "one is killed"])
def test_two_race_on_s3(undisturbed: Undisturbed, s3_folder: S3Path, tmp_path: Path, is_one_killed: bool):
    """On two machines, as far as they know: no lock of one is seen by the other. Every entry is committed once."""
    log, lake = log_at(s3_folder, undisturbed), Lake(s3_folder / "lake")
    machines = [tmp_path / name for name in ("one", "other")]
    for machine in machines:
        machine.mkdir()
    racers = [start(log, lake.root, machine) for machine in machines]
    if is_one_killed:
        while not list_chunks(lake.landing):
            time.sleep(0.001)
        racers.pop().kill()
    assert [finish(racer) for racer in racers] == [(0, "")] * len(racers)
    assert_ends_alike(undisturbed, lake)

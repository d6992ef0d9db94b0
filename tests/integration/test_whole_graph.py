"""The graph as its users run it: real processes, a scratch working directory, the log in and the files out."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data.log_format import LOG_COLUMNS
from data.simulate import write_log
from expectations import delta
from expectations.catalog import Lake
from expectations.offset import read_offset
from expectations.tables import PAYMENTS_RAW_BRONZE, SOURCE_QUARANTINE
from tests.support.processes import tollgate

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]

BRONZE, QUARANTINE = PAYMENTS_RAW_BRONZE.name, SOURCE_QUARANTINE.name

ROWS, DAYS = 2_500, 3
VISA = b"4111111111111111"
PLANTED = len(LOG_COLUMNS) + 2


def plant_card_numbers(log: Path) -> None:
    """Adds rows with a card number in each column in turn, one with it in a field too many, and one in a torn quote."""
    with open(log, "rb") as file:
        fields = file.read().splitlines()[-1].split(b",")
    with open(log, "ab") as file:
        for column in range(len(fields)):
            file.write(b",".join([*fields[:column], VISA, *fields[column + 1 :]]) + b"\n")
        file.write(b",".join([*fields, VISA]) + b"\n")
        file.write(b'"card ' + VISA + b"\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which the demo has run once on a log of ours; it has a `data` package of its own."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "data").mkdir()
    (folder / "data" / "__init__.py").write_text("raise ImportError('the wrong data package')\n")
    write_log(folder / "mine.csv", ROWS, seed=5, days=DAYS)
    plant_card_numbers(folder / "mine.csv")
    first = tollgate(folder, "demo", "--log", "mine.csv", "--chunk-size", "1000")
    assert first.returncode == 0, first.stdout + first.stderr
    (folder / "first.txt").write_text(first.stdout)
    return folder


def lake_of(place: Path) -> Lake:
    return Lake(place / ".tollgate" / "lakes" / "mine")


def lasting_files(lake: Lake) -> dict[Path, bytes]:
    """What others see of a lake, byte for byte. Locks, dbt's own file and reports of the last run are not for them."""
    passing = ("warehouse", "data_docs")
    return {
        path: path.read_bytes()
        for path in lake.root.rglob("*")
        if path.is_file() and "lock" not in path.name and path.relative_to(lake.root).parts[0] not in passing
    }


def test_the_demo_ends_with_its_figures(place: Path):
    shown = (place / "first.txt").read_text()
    for label in (
        "rows in",
        "chunked",
        "quarantined",
        "bronze",
        "detections UPGRADE",
        "files written",
        "silver",
        "duplicates",
        "approval rate",
        "declined:",
    ):
        assert label in shown
    assert f"{ROWS + PLANTED:,}" in shown and "Next:" in shown
    (passed, checks) = re.search(r"checks passed\D+(\d+) of (\d+)", shown).groups()
    assert passed == checks and int(checks) > 140
    # The last day may go on.
    assert re.search(rf"business days audited\D+{DAYS - 1}\D", shown)


def test_a_log_handed_over_is_final(place: Path):
    offset = read_offset(lake_of(place).offset_file)
    assert (offset.entries, offset.is_final) == (ROWS + PLANTED, True)


def test_every_planted_entry_is_accounted_for(place: Path):
    """Those whose column cannot hold a card number are in quarantine; the others are in bronze, with a token."""
    rows, rejected = (delta.open_table(lake_of(place).table(name)).count() for name in (BRONZE, QUARANTINE))
    assert rows + rejected == ROWS + PLANTED
    assert rejected > 2


def test_a_second_demo_changes_nothing(place: Path):
    before = lasting_files(lake_of(place))
    second = tollgate(place, "demo", "--log", "mine.csv", "--chunk-size", "1000")
    assert second.returncode == 0, second.stderr
    assert lasting_files(lake_of(place)) == before


def test_no_card_number_is_anywhere_afterwards(place: Path):
    found = tollgate(place, "scan-pan", ".tollgate", "first.txt")
    assert found.returncode == 0, found.stdout


def test_a_planted_card_number_fails_the_gate(place: Path, tmp_path: Path):
    """The blocking check sees it, the demo says so in one line, and what is downstream does not run."""
    shutil.copytree(place, tmp_path / "place")
    copy = tmp_path / "place"
    canary = lake_of(copy).root / "checkpoints" / "canary.txt"
    canary.parent.mkdir(exist_ok=True)
    canary.write_bytes(b"customer said: " + VISA)
    result = tollgate(copy, "demo", "--log", "mine.csv", "--chunk-size", "1000")
    assert result.returncode == 2
    assert "landing_chunks.no_card_numbers" in result.stderr
    assert VISA.decode() not in result.stdout + result.stderr


def test_a_lost_bronze_row_fails_the_gate(place: Path, tmp_path: Path):
    shutil.copytree(place, tmp_path / "place")
    copy = tmp_path / "place"
    delta.open_table(lake_of(copy).table(PAYMENTS_RAW_BRONZE.name)).delete("_row_number = 7")
    result = tollgate(copy, "demo", "--log", "mine.csv", "--chunk-size", "1000")
    assert result.returncode == 2
    assert "payments_raw_bronze.rows_conserved" in result.stderr


def test_the_published_mart_can_be_asked(place: Path):
    question = "SELECT authorisations FROM gold.v_executive_kpis WHERE period = 'last_30_days' AND currency = 'ALL'"
    answer = tollgate(place, "sql", question, "--lake", ".tollgate/lakes/mine", "--format", "csv")
    assert answer.returncode == 0, answer.stderr
    header, count = answer.stdout.split()
    assert header.strip('"') == "authorisations" and int(count) > 1_000


def test_a_bad_log_is_one_line(place: Path):
    result = tollgate(place, "demo", "--log", "absent.csv")
    assert result.returncode == 2
    assert result.stderr.strip().count("\n") == 0 and "absent.csv" in result.stderr


def test_dagster_loads_the_workspace_from_a_foreign_folder(place: Path):
    workspace = Path(__file__).parents[2] / "workspace.yaml"
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(workspace)]
    result = subprocess.run(command, cwd=place, env=dict(os.environ), capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr

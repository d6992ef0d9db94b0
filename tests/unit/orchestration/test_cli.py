"""The commands that need no Spark: they exit 0, or 2 with one line on stderr."""

import csv
import io
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import NamedTuple

import pyarrow as pa
import pytest

from expectations import delta
from expectations.catalog import Lake
from expectations.offset import read_offset
from expectations.tables import DETECTIONS
from orchestration import cli
from tests.support import lake_contents
from tests.support.card_data import TOKEN_KEY, VISA
from tests.support.chunking import make_chunker
from tests.support.payment_logs import banksim, banksim_log, csv_log, numbered
from tests.support.processes import tollgate as tollgate_process


class Result(NamedTuple):
    exit_code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process, in an empty folder, with a token key in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOLLGATE_TOKEN_KEY", TOKEN_KEY.decode())
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["tollgate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Result(ended.value.code or 0, *capsys.readouterr())

    return command


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_bytes(csv_log(numbered(25)))
    return path


def assert_refused(result: Result, *words: str) -> None:
    """Exit code 2, one line on stderr that holds the words, and no traceback."""
    assert result.exit_code == 2
    assert result.err.startswith("tollgate: ") and result.err.count("\n") == 1 and result.err.endswith("\n")
    assert all(word in result.err for word in words), result.err


def test_chunk_final_drains_the_log(run: Run, log: Path):
    result = run("chunk", "--log", log, "--lake", "lake", "--chunk-size", 10, "--final")
    assert (result.exit_code, result.err) == (0, "")
    assert [line.split(",")[0] for line in result.out.splitlines()] == [
        *("entries 0-9: 10 rows", "entries 10-19: 10 rows", "entries 20-24: 5 rows")
    ]
    offset = read_offset(Lake(Path("lake")).offset_file)
    assert (offset.entries, offset.is_final) == (25, True)


def test_chunk_final_again_changes_nothing(run: Run, log: Path):
    arguments = ("chunk", "--log", log, "--lake", "lake", "--chunk-size", 10, "--final")
    run(*arguments)
    before = lake_contents.files(Path("lake"))
    assert run(*arguments) == Result(0, "", "")
    assert lake_contents.files(Path("lake")) == before


def test_chunk_once_is_one_tick(run: Run, log: Path):
    for entries in (10, 20, 25, 25):
        assert run("chunk", "--log", log, "--lake", "lake", "--chunk-size", 10, "--once").exit_code == 0
        offset = read_offset(Lake(Path("lake")).offset_file)
        assert (offset.entries, offset.is_final) == (entries, False)


def test_chunk_follows_until_it_is_interrupted(run: Run, log: Path, monkeypatch: pytest.MonkeyPatch):
    pauses = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            raise KeyboardInterrupt

    # The clock of `cli` alone: a session of Spark in this process sleeps too.
    monkeypatch.setattr(cli, "time", SimpleNamespace(monotonic=monotonic, sleep=sleep))
    result = run("chunk", "--log", log, "--lake", "lake", "--chunk-size", 10)
    assert (result.exit_code, len(result.out.splitlines())) == (130, 3)


def test_the_lake_and_the_log_come_from_the_settings_too(run: Run, log: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in (("LAKE", "from-settings"), ("LOG", str(log)), ("CHUNK_SIZE", "7")):
        monkeypatch.setenv(f"TOLLGATE_{name}", value)
    assert run("chunk", "--once").exit_code == 0
    assert read_offset(Lake(Path("from-settings")).offset_file).chunk_size == 7


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ("no such transaction log", "log.csv")),
        (b"", ("the log is empty",)),
        (b"a,b\n1,2\n", ("missing required column",)),
        ("a,b\n".encode("utf-16"), ("not UTF-8 text",)),
    ],
    ids=["absent", "empty", "another format", "UTF-16"],
)
def test_chunk_refuses_a_log_that_it_cannot_read(run: Run, log: Path, content: bytes | None, words: tuple[str, ...]):
    if content is None:
        log.unlink()
    else:
        log.write_bytes(content)
    assert_refused(run("chunk", "--log", log, "--lake", "lake", "--final"), *words)


def test_chunk_refuses_a_log_that_was_cut(run: Run, log: Path):
    run("chunk", "--log", log, "--lake", "lake", "--final")
    log.write_bytes(log.read_bytes()[:-100])
    assert_refused(run("chunk", "--log", log, "--lake", "lake", "--final"), "has shrunk", "log.csv")


def test_chunk_refuses_another_grid(run: Run, log: Path):
    run("chunk", "--log", log, "--lake", "lake", "--chunk-size", 10, "--final")
    assert_refused(run("chunk", "--log", log, "--lake", "lake", "--final"), "--chunk-size 10")


def test_chunk_refuses_to_work_without_a_key(run: Run, log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TOLLGATE_TOKEN_KEY")
    assert_refused(run("chunk", "--log", log, "--lake", "lake", "--final"), "token key", "tollgate keygen")


def test_a_log_without_card_numbers_needs_no_key(run: Run, log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TOLLGATE_TOKEN_KEY")
    log.write_bytes(banksim_log([banksim(step=str(day)) for day in range(5)]))
    result = run("chunk", "--log", log, "--lake", "lake", "--final")
    assert (result.exit_code, result.out.split(",")[0]) == (0, "entries 0-4: 5 rows")


def test_chunk_refuses_to_be_the_second(run: Run, log: Path):
    with make_chunker(log, Path("lake")).alone():
        assert_refused(run("chunk", "--log", log, "--lake", "lake", "--once"), "another chunker")


def test_chunk_refuses_settings_that_make_no_sense(run: Run, log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOLLGATE_CHUNK_SIZE", "many")
    assert_refused(run("chunk", "--log", log, "--once"), "TOLLGATE_CHUNK_SIZE")


@pytest.mark.parametrize(
    "options", [("--once", "--final"), ("--chunk-size", "0"), ("--chunk-size", "many"), ("--what",)]
)
def test_wrong_options_exit_2_too(run: Run, options: tuple[str, ...]):
    result = run("chunk", *options)
    assert result.exit_code == 2 and "Traceback" not in result.err and result.err


def test_simulate_writes_a_log_that_chunks(run: Run):
    result = run("simulate", "--rows", 500, "--seed", 3, "--out", "made/up.csv")
    assert result.exit_code == 0 and "500 events" in result.out
    assert run("chunk", "--log", "made/up.csv", "--lake", "lake", "--final").exit_code == 0
    assert len(lake_contents.rows(Lake(Path("lake")), "payments_raw_bronze", "_row_number")) == 500
    again = Path("made/up.csv").read_bytes()
    run("simulate", "--rows", 500, "--seed", 3, "--out", "again.csv")
    assert Path("again.csv").read_bytes() == again


def test_simulate_makes_a_key_where_there_is_none(run: Run, monkeypatch: pytest.MonkeyPatch):
    run("simulate", "--rows", 5, "--out", "log.csv")
    assert not Path(".tollgate").exists(), "there is one in the environment"
    monkeypatch.delenv("TOLLGATE_TOKEN_KEY")
    run("simulate", "--rows", 5, "--out", "log.csv")
    assert stat.S_IMODE(Path(".tollgate/token.key").stat().st_mode) == 0o600


def test_simulate_refuses_impossible_arguments(run: Run):
    assert_refused(run("simulate", "--rows", 5, "--seed", "-1", "--out", "log.csv"), "seed")
    assert run("simulate", "--rows", "0", "--out", "log.csv").exit_code == 2


def test_scan_pan_tells_where_and_never_what(run: Run, log: Path):
    result = run("scan-pan", log.parent)
    assert_refused(result, "25 card numbers in 1 files")
    assert result.out.count(f"{log}: visa card number at byte") == 20, "the first of them"
    assert VISA not in result.out + result.err


def test_scan_pan_of_a_lake_finds_nothing(run: Run, log: Path):
    run("chunk", "--log", log, "--lake", "lake", "--final")
    result = run("scan-pan", "lake")
    assert (result.exit_code, result.err) == (0, "") and "no card number" in result.out


def test_scan_pan_refuses_what_is_not_there(run: Run):
    assert_refused(run("scan-pan", "absent"), "no such file", "absent")


def test_keygen_makes_a_key_once(run: Run):
    assert run("keygen").exit_code == 0
    key = Path(".tollgate/token.key").read_bytes()
    assert stat.S_IMODE(Path(".tollgate/token.key").stat().st_mode) == 0o600
    result = run("keygen")
    assert_refused(result, "there is a key already", "token.key")
    assert Path(".tollgate/token.key").read_bytes() == key
    assert run("keygen", "--out", "mine.key").exit_code == 0
    assert key.decode().strip() not in result.out + result.err


def test_detections_in_order(run: Run):
    now = datetime(2026, 11, 20, tzinfo=UTC)
    rows = [
        (1, 4, "PatId3", "DEI-NEEDED", "", "M1"),
        (0, 2, "PatId2", "CHILD", 'the "first", customer', "M2"),
    ]
    columns = ("sequence", "cell", "pattern_id", "action_type", "customer_id", "merchant_id")
    made = [dict(zip(columns, row, strict=True)) | {"y_started_at": now, "detected_at": now} for row in rows]
    table = delta.ensure_table(Lake(Path("lake")).table("detections"), DETECTIONS)
    delta.append_once(table, pa.Table.from_pylist(made, DETECTIONS.arrow()), "test", 1)
    result = run("detections", "--lake", "lake", "--format", "csv")
    assert list(csv.reader(io.StringIO(result.out))) == [
        ["chunk", "patternId", "ActionType", "customerName", "MerchantId"],
        ["2", "PatId2", "CHILD", 'the "first", customer', "M2"],
        ["4", "PatId3", "DEI-NEEDED", "", "M1"],
    ]
    shown = run("detections", "--lake", "lake")
    assert (
        shown.exit_code == 0
        and shown.out.index("CHILD") < shown.out.index("DEI-NEEDED")
        and "2 detections" in shown.out
    )


def test_detections_of_a_lake_without_any(run: Run):
    assert run("detections", "--lake", "lake", "--format", "csv").out.count("\n") == 1
    assert "0 detections" in run("detections", "--lake", "lake").out


def test_detect_and_drain_without_anything_to_do(run: Run):
    """No Spark session is started for it."""
    assert "nothing to detect" in run("detect", "--lake", "lake").out
    assert "nothing waits" in run("drain", "--lake", "lake").out


def test_as_a_process(tmp_path: Path, log: Path):
    """The same as above, as a user meets it."""
    result = tollgate_process(tmp_path, "chunk", "--log", "absent.csv", "--lake", "lake", "--final")
    assert_refused(Result(result.returncode, result.stdout, result.stderr), "no such transaction log (absent.csv)")
    key = {"TOLLGATE_TOKEN_KEY": TOKEN_KEY.decode()}
    result = tollgate_process(tmp_path, "chunk", "--log", "log.csv", "--lake", "lake", "--final", **key)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_bug_of_ours_keeps_its_traceback_without_card_numbers(run: Run, log: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(**_: object) -> None:
        raise RuntimeError(f"cannot convert {VISA} to a timestamp")

    monkeypatch.setattr(cli, "load_settings", fail)
    result = run("chunk", "--log", log, "--once")
    assert result.exit_code == 1 and result.err.startswith("Traceback") and "in fail\n" in result.err
    assert result.err.endswith("RuntimeError: cannot convert <16 digits> to a timestamp\n")

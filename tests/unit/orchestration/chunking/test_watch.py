"""Looking at log and offset from outside, whether or not a chunker is alive."""

from datetime import timedelta
from pathlib import Path

import pytest

from expectations.settings import Settings
from expectations.thresholds import OFFSET_STALE_SECONDS
from orchestration.chunking.watch import look
from tests.support.chunking import NOW, chunk_all
from tests.support.payment_logs import csv_log, numbered


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A lake that has the whole of its log, looked at long after."""
    (tmp_path / "log.csv").write_bytes(csv_log(numbered(3)))
    chunk_all(tmp_path / "log.csv", tmp_path / "lake", is_final=False)
    return Settings(
        log=tmp_path / "log.csv",
        lake=tmp_path / "lake",
        frozen_clock=NOW + timedelta(seconds=OFFSET_STALE_SECONDS + 1),
    )


def verdicts(settings: Settings) -> dict[str, bool]:
    return {outcome.check: outcome.passed for outcome in look(settings)}


def test_an_old_offset_is_fine_while_nothing_waits(settings: Settings):
    assert verdicts(settings) == {"source_readable": True, "offset_fresh": True}


def test_an_old_offset_is_stale_when_entries_wait(settings: Settings):
    settings.log.write_bytes(csv_log(numbered(4)))
    assert verdicts(settings) == {"source_readable": True, "offset_fresh": False}


def test_a_young_offset_is_fresh(settings: Settings):
    settings.log.write_bytes(csv_log(numbered(4)))
    settings.frozen_clock = NOW + timedelta(seconds=1)
    assert verdicts(settings)["offset_fresh"]


def test_after_a_final_log_nothing_waits(settings: Settings):
    chunk_all(settings.log, settings.lake, is_final=True)
    settings.log.write_bytes(csv_log(numbered(4)))
    assert verdicts(settings)["offset_fresh"]


@pytest.mark.parametrize("what", ["the log", "the offset"])
def test_what_cannot_be_read_is_told(settings: Settings, what: str):
    if what == "the log":
        settings.log.unlink()
    else:
        (settings.lake / "state" / "offset.csv").write_text("?")
    readable, _ = look(settings)
    assert not readable.passed and str(settings.log.parent) in readable.summary


def test_before_the_first_tick_nothing_is_stale(settings: Settings, tmp_path: Path):
    settings.lake = tmp_path / "new"
    assert verdicts(settings) == {"source_readable": True, "offset_fresh": True}

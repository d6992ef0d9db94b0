"""The clock outside Dagster, and trying again: with a clock and pauses of the test's own."""

from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
from deltalake.exceptions import DeltaError

from expectations.errors import SourceError
from orchestration.chunking.chunker import Chunker
from orchestration.chunking.follow import drain, follow, tick_with_retries
from tests.support.chunking import make_chunker
from tests.support.payment_logs import csv_log, numbered


class Clock:
    """Stands still but for what is slept and what the work takes."""

    def __init__(self):
        self.now, self.slept = 100.0, []

    def elapsed(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Scripted:
    """A chunker of which each tick takes some seconds, or raises."""

    def __init__(self, clock: Clock, *script: float | Exception):
        self.clock, self.script, self.ticks = clock, list(script), 0

    def tick(self, is_final: bool = False) -> None:
        self.ticks += 1
        step = self.script.pop(0) if self.script else 0.0
        if isinstance(step, Exception):
            raise step
        self.clock.now += step


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch):
    """Between two tries."""
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))


def test_a_tick_starts_every_interval_however_long_it_takes():
    clock = Clock()
    assert list(islice(follow(Scripted(clock, 1.0, 0.5, 0.0), clock.elapsed, clock.sleep, 5.0), 4)) == [None] * 4
    assert clock.slept == [4.0, 4.5, 5.0]


def test_a_tick_that_takes_too_long_is_followed_at_once_and_no_backlog_of_ticks_builds_up():
    clock = Clock()
    list(islice(follow(Scripted(clock, 12.0, 1.0, 1.0), clock.elapsed, clock.sleep, 5.0), 4))
    assert clock.slept == [0.0, 4.0, 4.0]


@pytest.mark.parametrize("error", [OSError("disk"), DeltaError("commit")])
def test_what_may_go_away_by_itself_is_tried_again(error: Exception):
    chunker = Scripted(Clock(), error, error)
    tick_with_retries(chunker)
    assert chunker.ticks == 3


def test_it_is_not_tried_for_ever():
    chunker = Scripted(Clock(), *[OSError(f"try {n}") for n in range(9)])
    with pytest.raises(OSError, match="try 2"):
        tick_with_retries(chunker)
    assert chunker.ticks == 3


def test_what_a_person_must_mend_is_not_tried_again():
    chunker = Scripted(Clock(), SourceError("rotated"))
    with pytest.raises(SourceError):
        tick_with_retries(chunker)
    assert chunker.ticks == 1


def test_a_tick_that_fails_on_its_way_is_completed_by_the_next_try(tmp_path: Path):
    """At each commit point once: the same chunker object goes on."""
    (tmp_path / "log.csv").write_bytes(csv_log([*numbered(3), {**numbered(1)[0], "amount": "x"}]))
    for point in ("quarantine", "chunk", "bronze", "offset"):
        left = [point]

        def fail_once(passed: str, left: list[str] = left) -> None:
            if passed in left:
                left.remove(passed)
                raise OSError("the disk hiccups")

        chunker: Chunker = make_chunker(tmp_path / "log.csv", tmp_path / point, 2, fail_once)
        entries = sum(tick.rows + tick.quarantined for tick in drain(chunker, is_final=True))
        assert entries == (2 if point == "offset" else 4), "the tick that had committed is not told again"
        assert len(list(chunker.lake.landing.iterdir())) == 2

"""Following: events appended in the time of a fake clock."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data import simulate
from data.log_files import ForeignLogError, TornLogError, truth_path
from data.simulate import follow_log, write_log

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


class FakeTime:
    """A clock that moves only when somebody sleeps, and stops after so many seconds."""

    def __init__(self, seconds: float, begin: datetime = NOW) -> None:
        self.now, self.end = begin, begin + timedelta(seconds=seconds)

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def stop(self) -> bool:
        return self.now >= self.end


def follow(out: Path, rate: float, seconds: float, begin: datetime = NOW, seed: int = 7, **more) -> int:
    time = FakeTime(seconds, begin)
    return follow_log(out, rate, seed, time.clock, time.sleep, time.stop, **more)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_begins_a_log_at_the_wanted_rate_with_times_of_the_clock(tmp_path):
    out, heard = tmp_path / "new" / "log.csv", []
    written = follow(out, rate=200, seconds=20, on_progress=heard.append)
    rows = rows_of(out)
    assert len(rows) == written == heard[-1]
    assert 200 * 20 * 0.97 < written < 200 * 20 * 1.05
    times = [row["event_timestamp"] for row in rows]
    assert times == sorted(times)
    assert times[0] >= "2026-11-02T09:00:00.000Z"
    assert times[-1] < "2026-11-02T09:00:20.000Z"


def test_continues_a_written_log_with_new_identifiers_and_the_same_people(tmp_path):
    out = tmp_path / "log.csv"
    write_log(out, 20_000, seed=7, days=2)
    before = out.read_bytes()
    follow(out, rate=500, seconds=3)
    follow(out, rate=500, seconds=3)  # from the same instant: only the size of the log tells the two apart
    assert out.read_bytes().startswith(before)
    rows, labels = rows_of(out), rows_of(truth_path(out))
    ids = [row["transaction_id"] for row in rows]
    assert len(ids) == len(set(ids)) > 22_500
    assert [label["transaction_id"] for label in labels] == ids
    homes = {row["customer_id"]: row["gender"] + row["age_band"] for row in rows[:20_000]}
    known = [row for row in rows[20_000:] if row["customer_id"] in homes]
    assert len(known) > 1_500
    assert all(homes[row["customer_id"]] == row["gender"] + row["age_band"] for row in known)
    originals = {row["original_transaction_id"] or row["retry_of"] for row in rows} - {""}
    assert originals <= set(ids)


def test_writes_whole_lines_at_once(tmp_path, monkeypatch):
    batches = []

    def spy(file, lines: bytes) -> None:
        batches.append(lines)
        file.write(lines)

    monkeypatch.setattr(simulate, "append", spy)
    follow(tmp_path / "log.csv", rate=100, seconds=5)
    assert 10 <= len(batches) <= 40  # at most one write to each file every quarter of a second
    assert all(lines.endswith(b"\n") for lines in batches)


def test_makes_captures_and_retries_of_its_own_events(tmp_path):
    out = tmp_path / "log.csv"
    follow(out, rate=100, seconds=150)
    kinds = {row["event_type"] for row in rows_of(out)}
    assert kinds >= {"authorisation", "capture"}
    assert any(row["is_retry"] == "true" for row in rows_of(out))


def test_does_not_catch_up_a_long_stall(tmp_path):
    class Stalled(FakeTime):
        def sleep(self, seconds: float) -> None:
            super().sleep(3_600)

    time = Stalled(7_200)
    written = follow_log(tmp_path / "log.csv", 100, 7, time.clock, time.sleep, time.stop)
    assert written < 2 * 100 * 5 * 1.1


def test_refuses_a_torn_log_with_the_remedy(tmp_path):
    out = tmp_path / "log.csv"
    write_log(out, 10, seed=7, days=1)
    whole = out.stat().st_size
    with out.open("ab") as file:
        file.write(b"T0000ABC,authorisa")
    with pytest.raises(TornLogError, match=f"truncate -s {whole} "):
        follow(out, rate=10, seconds=1)
    with out.open("r+b") as file:
        file.truncate(whole)
    assert follow(out, rate=10, seconds=1)


def test_refuses_a_file_that_is_no_log(tmp_path):
    out = tmp_path / "log.csv"
    out.write_text("step,customer\n1,2\n")
    with pytest.raises(ForeignLogError, match=r"log\.csv: line 1 is not our header"):
        follow(out, rate=10, seconds=1)
    assert out.read_text() == "step,customer\n1,2\n"


@pytest.mark.parametrize(("rate", "seed"), [(0, 1), (-1, 1), (float("nan"), 1), (1, -1)])
def test_refuses_impossible_arguments(tmp_path, rate, seed):
    with pytest.raises(ValueError, match="must be above 0"):
        follow(tmp_path / "log.csv", rate=rate, seconds=1, seed=seed)

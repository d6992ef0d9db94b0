"""Writing a whole log: determinism, exactness, atomicity, refusals."""

from datetime import UTC, datetime, timedelta

import pytest
from filelock import FileLock

from data.log_files import LogInUseError, truth_path
from data.simulate import write_log

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - it is what must be refused


def contents(path):
    return path.read_bytes(), truth_path(path).read_bytes()


def test_same_arguments_same_bytes_other_seed_others(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_log(tmp_path / f"{name}.csv", 3_000, seed, days=3)
    assert contents(tmp_path / "a.csv") == contents(tmp_path / "b.csv")
    assert contents(tmp_path / "a.csv") != contents(tmp_path / "c.csv")


@pytest.mark.parametrize(("rows", "days"), [(1, 1), (2, 35), (777, 2), (25_003, 1)])
def test_writes_exactly_the_rows_within_the_days(tmp_path, rows, days):
    end = datetime(2025, 3, 9, 12, 30, tzinfo=UTC)
    heard = []
    out = tmp_path / "new" / "log.csv"
    simulation = write_log(out, rows, seed=3, days=days, end=end, on_progress=heard.append)
    log, truth = contents(simulation.log)
    assert log.count(b"\n") == truth.count(b"\n") == rows + 1
    assert simulation.rows == rows == heard[-1]
    assert heard == sorted(heard)
    assert end - timedelta(days=days) <= simulation.first_at <= simulation.last_at < end


def test_replaces_a_log_only_when_the_new_one_is_complete(tmp_path):
    out = tmp_path / "log.csv"
    write_log(out, 100, seed=1, days=1)
    before = contents(out)

    def fail(rows: int) -> None:
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        write_log(out, 200, seed=1, days=1, on_progress=fail)
    assert contents(out) == before
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


@pytest.mark.parametrize(
    "wrong", [{"rows": 0}, {"days": 0}, {"seed": -1}, {"end": NAIVE}]
)  # fmt: skip
def test_refuses_impossible_arguments(tmp_path, wrong):
    with pytest.raises(ValueError, match=r"must be at least|time zone"):
        write_log(tmp_path / "log.csv", **{"rows": 1, "seed": 1} | wrong)
    assert not (tmp_path / "log.csv").exists()


def test_refuses_a_log_that_another_process_writes(tmp_path):
    with FileLock(tmp_path / ".log.csv.lock"), pytest.raises(LogInUseError, match=r"log\.csv"):
        write_log(tmp_path / "log.csv", 10, seed=1)

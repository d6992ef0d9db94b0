"""Who runs the detector's stream: one living process at a time."""

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from expectations.errors import LakeBusy
from expectations.lease import Lease, live_holder, read_lease
from expectations.thresholds import LEASE_SECONDS

BEGIN = datetime(2026, 3, 14, tzinfo=UTC)


class FakeClock:
    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "detector.lease.json"


@pytest.fixture
def other_process():
    """Another process that lives until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def held_by(path, process, clock, **changes) -> None:
    """Writes the lease as another process does."""
    values = {
        "owner": "other",
        "host": socket.gethostname(),
        "pid": process.pid,
        "started": psutil.Process(process.pid).create_time(),
        "renewed_at": clock().isoformat(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values | changes))


def test_nobody_holds_a_new_lease(path, clock):
    assert read_lease(path) is None
    assert live_holder(path, clock()) is None


def test_the_holder_can_be_read_and_gives_it_back(path, clock):
    with Lease(path, "me", clock):
        holder = live_holder(path, clock())
        assert (holder.owner, holder.pid, holder.renewed_at) == ("me", os.getpid(), BEGIN)
    assert read_lease(path) is None
    assert [*path.parent.iterdir()] == []


def test_it_is_given_back_when_the_work_fails(path, clock):
    with pytest.raises(ValueError, match="broken"), Lease(path, "me", clock):
        raise ValueError("broken")
    assert read_lease(path) is None


def test_a_second_holder_is_refused_and_told_who_has_it(path, clock):
    with Lease(path, "me", clock):
        with pytest.raises(LakeBusy, match=rf"me, process {os.getpid()}"), Lease(path, "second", clock):
            pass
        assert read_lease(path).owner == "me"


def test_another_living_process_is_respected(path, clock, other_process):
    held_by(path, other_process, clock)
    with pytest.raises(LakeBusy, match="other"), Lease(path, "me", clock):
        pass


def test_a_dead_process_is_replaced_at_once(path, clock, other_process):
    held_by(path, other_process, clock)
    other_process.kill()
    other_process.wait()
    assert live_holder(path, clock()) is None
    with Lease(path, "me", clock):
        assert read_lease(path).owner == "me"


def test_a_process_that_got_the_number_of_a_dead_one_is_none(path, clock, other_process):
    long_ago = psutil.Process(other_process.pid).create_time() - 3600
    held_by(path, other_process, clock, started=long_ago)
    assert live_holder(path, clock()) is None


@pytest.mark.parametrize("correction", [-1.0, 1.0])
def test_a_corrected_system_clock_kills_nobody(path, clock, other_process, correction):
    """The start of a process is reckoned from the boot time, which moves with the system clock."""
    seen_otherwise = psutil.Process(other_process.pid).create_time() + correction
    held_by(path, other_process, clock, started=seen_otherwise)
    assert live_holder(path, clock()).pid == other_process.pid


def test_a_stale_lease_is_taken_over(path, clock, other_process):
    held_by(path, other_process, clock)
    clock.advance(LEASE_SECONDS)
    assert live_holder(path, clock()) is not None
    clock.advance(0.001)
    assert live_holder(path, clock()) is None
    with Lease(path, "me", clock):
        assert read_lease(path).owner == "me"


def test_renewing_keeps_it_alive(path, clock):
    with Lease(path, "me", clock) as lease:
        clock.advance(LEASE_SECONDS - 1)
        lease.renew()
        clock.advance(LEASE_SECONDS - 1)
        assert live_holder(path, clock()).renewed_at == BEGIN + timedelta(seconds=LEASE_SECONDS - 1)


def test_a_process_on_another_machine_lives_while_it_renews(path, clock, other_process):
    held_by(path, other_process, clock, host="elsewhere", pid=2**22, started=1.0)
    assert live_holder(path, clock()).host == "elsewhere"
    clock.advance(LEASE_SECONDS + 1)
    assert live_holder(path, clock()) is None


def test_a_lease_that_someone_took_over_is_left_to_them(path, clock, other_process):
    with Lease(path, "me", clock):
        held_by(path, other_process, clock)
        held = path.read_text()
    assert path.read_text() == held


def test_all_threads_of_the_holder_may_renew_at_once(path, clock):
    """The stream's own thread does, and the one that reports."""
    with Lease(path, "me", clock) as lease, ThreadPoolExecutor(4) as threads:
        for renewed in [threads.submit(lease.renew) for _ in range(400)]:
            renewed.result()
        assert read_lease(path).owner == "me"


def test_it_is_renewed_in_the_background_while_its_holder_is_busy(path, clock, monkeypatch):
    monkeypatch.setattr("expectations.lease.LEASE_SECONDS", 0.3)
    with Lease(path, "me", clock) as lease:
        clock.advance(7)
        with lease.renewed_meanwhile():
            deadline = time.monotonic() + 10
            while read_lease(path).renewed_at == BEGIN and time.monotonic() < deadline:
                time.sleep(0.05)
        assert read_lease(path).renewed_at == clock()
    assert read_lease(path) is None

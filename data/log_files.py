"""Safe handling of a log's files: one writer at a time, drafts that replace files, appends of whole lines."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout


class TornLogError(ValueError):
    """A log to be continued does not end with a whole line."""


class ForeignLogError(ValueError):
    """A file to be continued is not a log of this format."""


class LogInUseError(RuntimeError):
    """Another process writes the same log."""


def truth_path(log: Path) -> Path:
    """Where the labels of a log are: `<stem>.truth.csv` beside it."""
    return log.with_name(f"{log.stem}.truth.csv")


@contextmanager
def claimed(log: Path) -> Iterator[None]:
    """Keeps other writers away from the log while the block runs; makes its folder. Raises LogInUseError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(log.with_name(f".{log.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LogInUseError(f"{log}: another process writes it; stop that or name another file") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the path's place when the block ends well, and vanishes when it does not."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            yield file
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def appending(path: Path, header: bytes) -> Iterator[BinaryIO]:
    """The file, unbuffered, for `append`; begun with the header if it is missing or empty.

    Raises ForeignLogError if it begins otherwise, TornLogError if it does not end with a line's end.
    """
    with path.open("a+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END) == 0:
            append(file, header)
        _check(file, header)
        yield file


def append(file: BinaryIO, lines: bytes) -> None:
    """Adds whole lines in one write, so that a reader never sees more than one torn line."""
    done = file.write(lines)
    if done != len(lines):
        raise OSError(f"{file.name}: only {done} of {len(lines)} bytes could be written; is the disk full?")


def _check(file: BinaryIO, header: bytes) -> None:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        whole = content.rfind(b"\n") + 1
        if content[: len(header)] != header:
            raise ForeignLogError(f"{file.name}: line 1 is not our header; name another file")
        if whole != len(content):
            raise TornLogError(
                f"{file.name}: the last line, from byte {whole}, is not complete; "
                f"cut it off with: truncate -s {whole} '{file.name}'"
            )

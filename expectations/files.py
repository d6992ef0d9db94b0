"""Files that appear whole or not at all, and stay after a power cut."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a hidden file beside `path`; on leaving it is flushed to disk and takes the place of `path`.

    The hidden name is fixed, so a killed writer leaves at most one, and the next writer overwrites it. Writers of the
    same file take turns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.tmp")
    with _alone(hidden) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        os.replace(hidden, path)
    sync_folder(path.parent)


def _alone(hidden: Path) -> BinaryIO:
    """The file, empty, and locked until it is closed."""
    while True:
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Whoever had it before has renamed it: then this is a file that others read by now.
        if _is_called(hidden, descriptor):
            os.ftruncate(descriptor, 0)
            return os.fdopen(descriptor, "wb")
        os.close(descriptor)


def _is_called(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_exclusively(path: Path, content: bytes) -> None:
    """Makes a file that must not be there yet; it appears whole.

    Raises:
        FileExistsError: it is there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Random, since the threads of one process may race for the same file.
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(hidden, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, does not replace what is there.
        os.link(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)
    sync_folder(path.parent)

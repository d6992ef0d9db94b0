"""Files that appear whole or not at all, and stay after a power cut."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a hidden file beside `path`; on leaving it is flushed to disk and takes the place of `path`.

    The hidden name is fixed, so a killed writer leaves at most one, and the next writer overwrites it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.tmp")
    with open(hidden, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(hidden, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

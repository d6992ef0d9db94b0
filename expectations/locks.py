"""Locks of one machine: they end with the process that holds them, however that ends."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from expectations.catalog import Lake
from expectations.errors import LakeBusy


@contextmanager
def chunker_alone(lake: Lake) -> Iterator[None]:
    """Keeps others from chunking into the lake.

    Raises:
        LakeBusy: another process does.
    """
    lake.locks.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lake.locks / "chunker.lock", timeout=0):
            yield
    except Timeout as error:
        raise LakeBusy(
            "another chunker is working on this lake", where=lake.root, remedy="stop it, or let it work"
        ) from error


@contextmanager
def detector_alone(lake: Lake) -> Iterator[None]:
    """Keeps other processes from the state and the outbox, for the length of one increment; waits its turn."""
    lake.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(lake.locks / "detector.lock"):
        yield

"""Chunkers for tests: under a frozen clock and a known key, stopped at commit points on demand."""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

from expectations.card_numbers import TokeniserFactory
from expectations.catalog import Lake
from expectations.clock import frozen_clock
from expectations.offset import Offset, read_fenced, write_offset
from orchestration.chunking.chunker import Chunker, CommitPoint, Tick
from orchestration.chunking.follow import drain
from tests.support.adapting import tests_tokeniser
from tests.support.reference_adapter import DAY_ZERO

NOW = datetime(2026, 11, 20, 12, 0, 0, 123_456, UTC)


class Interrupted(Exception):
    """Stands for the death of the process at a commit point."""


class Interruptions:
    """A `passed` hook that raises the first time that each of the given numbers of passed points is reached."""

    def __init__(self, at: Collection[int]):
        self._left, self._passed = {*at}, 0

    def __call__(self, point: str) -> None:
        self._passed += 1
        if self._passed in self._left:
            self._left.remove(self._passed)
            raise Interrupted(point)


def make_chunker(
    log: Path,
    lake: Path,
    chunk_size: int = 5,
    passed: CommitPoint = lambda point: None,
    make_tokeniser: TokeniserFactory = tests_tokeniser,
) -> Chunker:
    """A chunker as a new process would build it."""
    return Chunker(Lake(lake), log, chunk_size, frozen_clock(NOW), make_tokeniser, DAY_ZERO, passed)


def overwrite_offset(path: Path, offset: Offset) -> None:
    """Writes an offset over whichever there is."""
    write_offset(path, offset, over=read_fenced(path)[1])


def chunk_all(log: Path, lake: Path, chunk_size: int = 5, is_final: bool = True) -> list[Tick]:
    """Everything that is in the log, undisturbed."""
    return list(drain(make_chunker(log, lake, chunk_size), is_final))


def growing(content: bytes, per_mille: Iterable[int]) -> list[bytes]:
    """A log as it looks while it grows, the whole of it last."""
    return [*(content[: len(content) * part // 1000] for part in sorted(per_mille)), content]


def work(start: Callable[[], Chunker], chunker: Chunker, is_final: bool, most: int) -> Chunker:
    """At most so many ticks; after an interruption a new process goes on. Returns the chunker that is alive."""
    while most > 0:
        try:
            if chunker.tick(is_final) is None:
                break
        except Interrupted:
            chunker = start()
        most -= 1
    return chunker

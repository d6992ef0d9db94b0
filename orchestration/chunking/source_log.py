"""Reading a transaction log from a byte position, plain or packed."""

import gzip
import re
import zlib
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

from expectations.errors import SourceError
from expectations.places import Location, open_stream, read_range
from expectations.thresholds import MAX_ENTRY_BYTES

_SKIP_BYTES = 1024 * 1024


class SourceLog(Protocol):
    """A log as a sequence of bytes.

    Attributes:
        path: the file.
        is_finished: nothing will ever be appended.
    """

    path: Location
    is_finished: bool

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only where the log ends."""
        ...


def open_log(path: Location) -> SourceLog:
    """The log at `path`; `.gz` is unpacked on the fly and counts as finished.

    Raises:
        SourceError: there is no such file.
    """
    if not path.is_file():
        raise SourceError("no such transaction log", where=path, remedy="check the path, or `tollgate simulate` one")
    return GzipLog(path) if path.suffix == ".gz" else PlainLog(path)


def source_name(path: Location) -> str:
    """What a log is called in file names: its stem, with anything unusual as a hyphen."""
    stem = path.name.removesuffix(".gz")
    stem = stem.removesuffix(PurePosixPath(stem).suffix)
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem) or "log"


class PlainLog:
    """A file that may grow. A read at any position costs the same."""

    is_finished = False

    def __init__(self, path: Location):
        self.path = path

    def read(self, offset: int, size: int) -> bytes:
        try:
            return read_range(self.path, offset, size)
        except (FileNotFoundError, PermissionError) as error:
            raise SourceError("the log cannot be opened", where=self.path, remedy="restore it") from error


class GzipLog:
    """A packed file: read forwards as a stream; going back starts again from its head.

    Raises:
        SourceError: the file is no gzip, or ends in the middle.
    """

    is_finished = True

    def __init__(self, path: Location):
        self.path = path
        self._stream: BinaryIO | None = None
        self._buffer, self._buffer_at = b"", 0

    def read(self, offset: int, size: int) -> bytes:
        try:
            if self._stream is None or offset < self._buffer_at:
                self._stream = gzip.GzipFile(fileobj=open_stream(self.path))  # stays open between ticks
                self._buffer, self._buffer_at = b"", 0
            while offset > self._buffer_at + len(self._buffer):
                self._buffer_at += len(self._buffer)
                self._buffer = self._stream.read(min(_SKIP_BYTES, offset - self._buffer_at))
                if not self._buffer:
                    return b""
            self._buffer, self._buffer_at = self._buffer[offset - self._buffer_at :], offset
            if size > len(self._buffer):
                self._buffer += self._stream.read(size - len(self._buffer))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            self._stream = None
            raise SourceError("not a whole gzip file", where=self.path, remedy="copy it again") from error
        except OSError:
            self._stream = None  # Nobody knows where it stands: the next read starts again.
            raise
        return self._buffer[:size]


def read_header(log: SourceLog, is_final: bool = False) -> bytes:
    """The first line with its newline, which only a complete log may lack; empty while it is not there yet.

    Raises:
        SourceError: the first line does not end within 64 KiB.
    """
    head = log.read(0, MAX_ENTRY_BYTES)
    end = head.find(b"\n") + 1
    if end == 0 and len(head) == MAX_ENTRY_BYTES:
        raise SourceError("no header line", where=log.path, remedy="check that it is a CSV file")
    return head[:end] if end else (head if is_final or log.is_finished else b"")

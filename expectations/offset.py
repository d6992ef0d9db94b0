"""`offset.csv`: how far the source log has been worked off. It is the truth; everything else only shows it."""

import csv
import io
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from expectations.errors import LakeMismatch
from expectations.files import replacing


@dataclass(frozen=True)
class Offset:
    """Position in a source log, and what identifies the log up to there.

    Attributes:
        source: name of the log.
        adapter: its format.
        chunk_size: the lake's pattern grid, in entries.
        head_fingerprint: of the log's first 64 KiB, as far as they lie before the offset.
        tail_fingerprint: of the last 64 KiB before the offset.
        entries: how many entries lie before the offset (the header is none).
        byte_offset: the same in bytes, of the unpacked log.
        is_final: the log was declared complete at this offset.
        committed_at: when the offset was written.
    """

    source: str
    adapter: str
    chunk_size: int
    head_fingerprint: str
    tail_fingerprint: str
    entries: int
    byte_offset: int
    is_final: bool
    committed_at: datetime

    @property
    def complete_cells(self) -> int:
        """How many grid cells, from 0, will get no further entry."""
        whole, rest = divmod(self.entries, self.chunk_size)
        return whole + (1 if self.is_final and rest else 0)


def read_offset(path: Path) -> Offset | None:
    """The offset, or None where nothing has been chunked yet.

    Raises:
        LakeMismatch: the file is not an offset.
    """
    if not path.exists():
        return None
    try:
        text = path.read_text()
        (row,) = csv.DictReader(io.StringIO(text), strict=True)
        offset = Offset(
            source=row["source"],
            adapter=row["adapter"],
            chunk_size=int(row["chunk_size"]),
            head_fingerprint=row["head_fingerprint"],
            tail_fingerprint=row["tail_fingerprint"],
            entries=int(row["entries"]),
            byte_offset=int(row["byte_offset"]),
            is_final={"true": True, "false": False}[row["is_final"]],
            committed_at=datetime.fromisoformat(row["committed_at"]),
        )
        if not text.endswith("\n") or min(offset.chunk_size - 1, offset.entries, offset.byte_offset) < 0:
            raise ValueError("cut off, or a negative position")
        return offset
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise LakeMismatch("not an offset file", where=path, remedy="restore it from a backup") from error


def write_offset(path: Path, offset: Offset) -> None:
    """Replaces the offset atomically."""
    row = asdict(offset) | {
        "is_final": str(offset.is_final).lower(),
        "committed_at": offset.committed_at.isoformat(),
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow(row)
    with replacing(path) as file:
        file.write(text.getvalue().encode())

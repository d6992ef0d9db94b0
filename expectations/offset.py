"""`offset.csv`: how far the source log has been worked off. It is the truth; everything else only shows it."""

import csv
import io
from dataclasses import asdict, dataclass
from datetime import datetime

from expectations.errors import LakeMismatch
from expectations.places import Location, read_versioned, replace


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
        claimed_upto: where the chunk ends that a chunker has begun to commit; None where none is under way. Whoever
            goes on commits just that chunk, so that two chunkers never cut the log in different ways.
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
    claimed_upto: int | None = None

    @property
    def complete_cells(self) -> int:
        """How many grid cells, from 0, will get no further entry."""
        whole, rest = divmod(self.entries, self.chunk_size)
        return whole + (1 if self.is_final and rest else 0)


def read_offset(path: Location) -> Offset | None:
    """The offset, or None where nothing has been chunked yet.

    Raises:
        LakeMismatch: the file is not an offset.
    """
    return read_fenced(path)[0]


def read_fenced(path: Location) -> tuple[Offset | None, str | None]:
    """The offset, and the version over which the next one may be written.

    Raises:
        LakeMismatch: the file is not an offset.
    """
    found = read_versioned(path)
    return (None, None) if found is None else (_parsed(path, found[0]), found[1])


def _parsed(path: Location, content: bytes) -> Offset:
    try:
        text = content.decode()
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
            claimed_upto=int(row["claimed_upto"]) if row.get("claimed_upto") else None,
        )
        if not text.endswith("\n") or min(offset.chunk_size - 1, offset.entries, offset.byte_offset) < 0:
            raise ValueError("cut off, or a negative position")
        return offset
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise LakeMismatch("not an offset file", where=path, remedy="restore it from a backup") from error


def write_offset(path: Location, offset: Offset, over: str | None) -> str:
    """Writes the offset over that version, or where none is; returns the new version.

    Raises:
        Superseded: another chunker has moved it meanwhile.
    """
    row = asdict(offset) | {
        "is_final": str(offset.is_final).lower(),
        "committed_at": offset.committed_at.isoformat(),
        "claimed_upto": "" if offset.claimed_upto is None else offset.claimed_upto,
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow(row)
    return replace(path, text.getvalue().encode(), over)

"""The landing zone: how chunk files are named, written, listed and read back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import pyarrow as pa
import pyarrow.csv as pacsv

from expectations.payments import PAYMENT
from expectations.places import Location, names, open_whole, replacing

_NAME = re.compile(r"chunk_(?P<source>.+)_(?P<first>\d+)_(?P<last>\d+)\.csv")


@dataclass(frozen=True, order=True)
class Chunk:
    """A chunk file: entries `first` to `last` (both included, from 0) of a source log."""

    first: int
    last: int
    source: str

    @property
    def name(self) -> str:
        return f"chunk_{self.source}_{self.first:012d}_{self.last:012d}.csv"

    @property
    def entries(self) -> int:
        """How many entries of the log it covers; the quarantined ones are not in the file."""
        return self.last - self.first + 1

    def cell(self, chunk_size: int) -> int:
        """The cell of the pattern grid in which it lies. A chunk never crosses a grid line."""
        return self.first // chunk_size


def list_chunks(folder: Location, source: str = "", first: int = 0) -> list[Chunk]:
    """The chunk files in a folder, in the log's order; of a named source, those that begin at an entry or later."""
    behind = f"chunk_{source}_{first:012d}" if source else ""
    found = (_NAME.fullmatch(name) for name in names(folder, after=behind))
    chunks = (Chunk(int(m["first"]), int(m["last"]), m["source"]) for m in found if m)
    return sorted(chunks, key=attrgetter("first", "last", "source"))


def encode_chunk(rows: pa.Table) -> bytes:
    """The text of a chunk file: the canonical columns under a header, null as nothing, an empty text as quotes."""
    text = pa.BufferOutputStream()
    pacsv.write_csv(rows, text)
    return text.getvalue().to_pybytes()


def write_chunk(folder: Location, chunk: Chunk, content: bytes) -> Location:
    """Writes a chunk file; it appears whole or not at all."""
    path = folder / chunk.name
    with replacing(path) as file:
        file.write(content)
    return path


def read_chunk(path: Location, columns: Sequence[str] = PAYMENT.columns) -> pa.Table:
    """The rows of a chunk file, or some columns of them, with the canonical types; null where it is older than one."""
    schema = pa.schema([PAYMENT.arrow().field(name) for name in columns])
    with open_whole(path) as file:
        table = pacsv.read_csv(
            file,
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                include_columns=list(columns),
                include_missing_columns=True,
                column_types={field.name: field.type for field in schema},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    return table.cast(schema)

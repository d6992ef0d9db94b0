"""Bronze made anew from the chunk files, after a loss or for another store: on a cluster by its executors.

Rows go on as the chunker wrote them, under its own position, so that it takes up where this ends. When a row was
ingested is no longer known to the microsecond: its chunk file's time stands for that.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from expectations import delta
from expectations.bronze import APP, bronze_rows, entries_of
from expectations.catalog import Lake
from expectations.errors import LakeMismatch
from expectations.landing import Chunk, list_chunks, read_chunk
from expectations.locks import chunker_alone
from expectations.offset import read_offset
from expectations.places import Location, absolute, location, modified_at
from expectations.tables import PAYMENTS_RAW_BRONZE, SOURCE_QUARANTINE
from spark_jobs import connector

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CHUNKS_PER_COMMIT = 64


@dataclass(frozen=True)
class PlacedChunk:
    """A chunk file, and what its rows are to say of it."""

    path: str
    chunk: Chunk
    cell: int
    ingested_at: datetime
    rejected: tuple[int, ...]

    def rows(self) -> pa.Table:
        """Its rows as bronze has them.

        Raises:
            LakeMismatch: it has other rows than the quarantine leaves it.
        """
        rows, entries = read_chunk(location(self.path)), entries_of(self.chunk, self.rejected)
        if len(rows) != len(entries):
            raise LakeMismatch(
                f"the chunk has {len(rows):,} rows, and {len(self.rejected):,} of its {self.chunk.entries:,} entries "
                "are quarantined",
                where=self.path,
                remedy="restore the chunk or the quarantine from a backup",
            )
        return bronze_rows(rows, entries, self.chunk, self.cell, self.ingested_at)


def rebuild(lake: Lake, spark: "SparkSession | None") -> Iterator[int]:
    """Appends what bronze lacks of the committed chunks; yields the rows of each commit. May be killed and run again.

    Args:
        lake: whose landing zone and archive are read.
        spark: executors read the files and write the rows, and the Delta connector commits them; without one, this
            process does by delta-rs.

    Raises:
        LakeBusy: a chunker is at work.
        LakeMismatch: a chunk is missing, or does not agree with the quarantine; bronze lacks rows before its end.
    """
    with chunker_alone(lake):
        table = delta.ensure_table(lake.table(PAYMENTS_RAW_BRONZE.name), PAYMENTS_RAW_BRONZE)
        missing = _missing(lake, table)
        for start in range(0, len(missing), CHUNKS_PER_COMMIT):
            placed = missing[start : start + CHUNKS_PER_COMMIT]
            if spark is None:
                yield _append(table, placed)
            else:
                yield _append_by_executors(spark, lake.table(PAYMENTS_RAW_BRONZE.name), placed)


def _append(table: delta.DeltaTable, placed: Sequence[PlacedChunk]) -> int:
    """Appends the chunks' rows, and returns how many there are."""
    rows = pa.concat_tables(chunk.rows() for chunk in placed)
    delta.append_once(table, rows, APP, placed[-1].chunk.last + 1)
    return len(rows)


def _append_by_executors(spark: "SparkSession", bronze: Location, placed: Sequence[PlacedChunk]) -> int:
    """The same, with rows that no driver sees."""
    before = connector.read(spark, bronze).count()
    connector.append_once(_frame(spark, placed), bronze, APP, placed[-1].chunk.last + 1)
    return connector.read(spark, bronze).count() - before


def _missing(lake: Lake, table: delta.DeltaTable) -> list[PlacedChunk]:
    """The chunks from where bronze ends to the offset, without a gap."""
    position = delta.position(table, APP)
    offset = read_offset(lake.offset_file)
    if offset is None:
        return []
    places: dict[Chunk, Location] = {
        chunk: folder / chunk.name for folder in (lake.archive, lake.landing) for chunk in list_chunks(folder)
    }
    wanted = sorted(chunk for chunk in places if position <= chunk.first < offset.entries)
    ends = [position, *(chunk.last + 1 for chunk in wanted)]
    if [*(chunk.first for chunk in wanted), offset.entries] != ends:
        raise LakeMismatch(
            f"there are not all chunks of the entries {position:,} to {offset.entries:,}",
            where=lake.landing,
            remedy="restore them from a backup",
        )
    rejected = delta.read_rows(lake.table(SOURCE_QUARANTINE.name), SOURCE_QUARANTINE)["entry_number"]
    held = table.count() + pc.sum(pc.less(rejected, position), min_count=0).as_py()
    if held != position:
        raise LakeMismatch(
            f"bronze and the quarantine hold {held:,} of the first {position:,} entries",
            where=lake.table(PAYMENTS_RAW_BRONZE.name),
            remedy="move bronze away, so that it is made anew from its start",
        )
    return [
        PlacedChunk(
            path=absolute(places[chunk]),
            chunk=chunk,
            cell=chunk.cell(offset.chunk_size),
            ingested_at=modified_at(places[chunk]),
            rejected=_between(rejected, chunk),
        )
        for chunk in wanted
    ]


def _between(rejected: pa.ChunkedArray, chunk: Chunk) -> tuple[int, ...]:
    inside = pc.and_(pc.greater_equal(rejected, chunk.first), pc.less_equal(rejected, chunk.last))
    return tuple(rejected.filter(inside).to_pylist())


def _frame(spark: "SparkSession", placed: Sequence[PlacedChunk]) -> "DataFrame":
    """The chunks' rows; the driver only names the files."""
    numbers = spark.range(len(placed), numPartitions=min(len(placed), spark.sparkContext.defaultParallelism * 2))
    return numbers.mapInArrow(_reader(tuple(placed)), PAYMENTS_RAW_BRONZE.spark())


def _reader(placed: Sequence[PlacedChunk]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    schema = PAYMENTS_RAW_BRONZE.arrow().remove_metadata()

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from placed[number].rows().cast(schema).to_batches()

    return read

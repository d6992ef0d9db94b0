"""The rows of bronze: those of a chunk, with where they came from."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

from expectations.landing import Chunk
from expectations.tables import PAYMENTS_RAW_BRONZE

APP = "chunker"
"""Whose position bronze remembers: entries of the source log."""


def bronze_rows(rows: pa.Table, entries: np.ndarray, chunk: Chunk, cell: int, ingested_at: datetime) -> pa.Table:
    """The rows of a chunk as bronze has them.

    Args:
        rows: the chunk's.
        entries: int64, each row's entry number in the log.
        chunk: which chunk.
        cell: its cell of the pattern grid.
        ingested_at: when it was committed.
    """
    provenance = {
        "_ingested_at": pa.repeat(pa.scalar(ingested_at, pa.timestamp("us", tz="UTC")), len(rows)),
        "_source_file": pa.repeat(pa.scalar(chunk.name), len(rows)),
        "_row_number": pa.array(entries, pa.int64()),
        "_chunk": pa.repeat(pa.scalar(cell, pa.int64()), len(rows)),
    }
    arrays = [*(column.combine_chunks() for column in rows.columns), *provenance.values()]
    return pa.Table.from_arrays(arrays, schema=PAYMENTS_RAW_BRONZE.arrow())


def entries_of(chunk: Chunk, rejected: Sequence[int]) -> np.ndarray:
    """int64, the entry numbers of a chunk's rows: all that it covers but the rejected ones."""
    return np.setdiff1d(np.arange(chunk.first, chunk.last + 1), np.asarray(rejected, np.int64))

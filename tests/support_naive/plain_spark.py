"""As much of Spark as the detector uses, as loops in this process: for tests that take milliseconds.

It promises as little as Spark does: rows are handed over in pieces, and groups and their rows in no order.
"""

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

_TYPES = {"int": pa.int32(), "long": pa.int64(), "string": pa.string(), "binary": pa.binary()}
_ROWS_PER_BATCH = 3

Batches = Iterator[pa.RecordBatch]


def _schema(ddl: str) -> pa.Schema:
    columns = (column.split() for column in ddl.split(","))
    return pa.schema([(name, _TYPES[kind]) for name, kind in columns])


class PlainSpark:
    """What stands for a Spark session."""

    def createDataFrame(self, rows: pa.Table) -> "PlainFrame":  # noqa: N802 - as Spark has it
        return PlainFrame(rows)


class PlainFrame:
    """What stands for a data frame."""

    def __init__(self, rows: pa.Table):
        self._rows = rows

    def mapInArrow(self, function: Callable[[Batches], Batches], ddl: str) -> "PlainFrame":  # noqa: N802
        batches = function(iter(self._rows.to_batches(max_chunksize=_ROWS_PER_BATCH)))
        return PlainFrame(pa.Table.from_batches(batches, _schema(ddl)))

    def groupBy(self, column: str) -> "PlainGroups":  # noqa: N802
        return PlainGroups(self._rows, column)

    def toArrow(self) -> pa.Table:  # noqa: N802
        return self._rows


class PlainGroups:
    """What stands for grouped data."""

    def __init__(self, rows: pa.Table, column: str):
        self._rows, self._column = rows, column

    def applyInArrow(  # noqa: N802
        self, function: Callable[[tuple[pa.Scalar, ...], pa.Table], pa.Table], ddl: str
    ) -> PlainFrame:
        backwards = self._rows.take(pa.array(range(len(self._rows) - 1, -1, -1), pa.int64()))
        groups = (
            ((key,), backwards.filter(pc.equal(backwards[self._column], key)))
            for key in pc.unique(backwards[self._column])
        )
        found = [function(key, rows) for key, rows in groups]
        return PlainFrame(pa.concat_tables(found).cast(_schema(ddl)) if found else _schema(ddl).empty_table())

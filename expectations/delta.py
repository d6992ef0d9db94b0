"""Delta tables without a JVM: exactly-once appends at a position of the source, and reads."""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.transaction import AddAction

from expectations.files import replacing
from expectations.schema import TableSchema

_SKIPPED_BY = "delta.dataSkippingStatsColumns"

LOG_RETENTION = "delta.logRetentionDuration"
PROPERTIES = {
    "delta.enableChangeDataFeed": "true",
    "delta.checkpointInterval": "20",
    # Every opening and every commit lists the whole log, which gets a file every five seconds. What checkpoints have
    # made superfluous goes, but for what the longest compaction needs to see whether others wrote meanwhile.
    LOG_RETENTION: "interval 10 minutes",
    "delta.deletedFileRetentionDuration": "interval 1 day",
}


def open_table(path: Path) -> DeltaTable | None:
    """The table at its latest version, or None where there is none."""
    return DeltaTable(path) if DeltaTable.is_deltatable(str(path)) else None


def ensure_table(path: Path, schema: TableSchema, notes: Mapping[str, Mapping[str, str]] | None = None) -> DeltaTable:
    """The table, created empty where there is none; `notes` go into the metadata of the columns that they name.

    A table that was made before a nullable column was declared gets it.
    """
    found = open_table(path)
    if found is not None:
        _add_columns(found, schema)
        return found
    columns = schema.arrow()
    for column, note in (notes or {}).items():
        at = columns.get_field_index(column)
        columns = columns.set(at, columns.field(at).with_metadata(columns.field(at).metadata | dict(note)))
    return DeltaTable.create(
        str(path),
        schema=columns,
        mode="ignore",
        name=schema.name,
        description=schema.description,
        partition_by=list(schema.partition_by) or None,
        configuration=PROPERTIES | {_SKIPPED_BY: ",".join(schema.skipped_by or schema.key)},
    )


def _add_columns(table: DeltaTable, schema: TableSchema) -> None:
    there = {field.name for field in table.schema().fields}
    missing = {field.name for field in schema.fields if field.nullable} - there
    if missing:
        table.alter.add_columns([field for field in Schema.from_arrow(schema.arrow()).fields if field.name in missing])


def position(table: DeltaTable | None, app: str) -> int:
    """How far `app` has written into the table, as an exclusive position of its source; 0 at first."""
    version = table.transaction_version(app) if table is not None else None
    return version or 0


def bounds(table: DeltaTable) -> pa.Table:
    """Per file, the rows and the bounds of the columns that let it be skipped: `num_records`, `max.<column>`, ..."""
    return pa.table(table.get_add_actions(flatten=True))


def column_types(table: DeltaTable) -> dict[str, pa.DataType]:
    """The table's columns with their Arrow types."""
    return {field.name: field.type for field in pa.schema(table.schema().to_arrow())}


def exactly_once(app: str, position: int) -> CommitProperties:
    """Commit properties that record the position; a second commit with the same one fails."""
    return CommitProperties(app_transactions=[Transaction(app, position)])


def append_once(table: DeltaTable, rows: pa.Table, app: str, upto: int) -> bool:
    """Appends rows that bring `app` to the exclusive position `upto`; does nothing where it is there already.

    The rows must all lie at or after the position where the app stands, and before `upto`.

    Raises:
        deltalake.exceptions.CommitFailedError: another writer came first.
    """
    if position(table, app) >= upto:
        return False
    table.create_write_transaction(
        [_write_file(table, rows)] if len(rows) else [],
        mode="append",
        schema=table.schema(),
        partition_by=table.metadata().partition_columns,
        commit_properties=exactly_once(app, upto),
    )
    table.update_incremental()
    return True


def _write_file(table: DeltaTable, rows: pa.Table) -> AddAction:
    """Writes the rows beside the table's other files; the file counts once it is committed.

    Not by `write_deltalake`, whose time and memory grow with the number of files that the table has.
    """
    skipped_by = table.metadata().configuration[_SKIPPED_BY].split(",")
    path = Path(url2pathname(urlparse(table.table_uri).path), f"part-{uuid.uuid4().hex}.parquet")
    with replacing(path) as file:
        # By name: a column that came later stands last in the table, wherever it is declared.
        columns = pa.schema(table.schema().to_arrow())
        pq.write_table(rows.select(columns.names).cast(columns), file, compression="zstd")
    return AddAction(
        path=path.name,
        size=path.stat().st_size,
        partition_values={},
        modification_time=time.time_ns() // 1_000_000,
        data_change=True,
        stats=json.dumps({"numRecords": len(rows), **_bounds(rows, skipped_by)}),
    )


def _bounds(rows: pa.Table, columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The least and greatest values of some columns, and their nulls, as Delta's protocol writes them."""
    ranges = {name: pc.min_max(rows[name]).as_py() for name in columns}
    return {
        **{
            bound: {name: _json_value(found[of]) for name, found in ranges.items() if found[of] is not None}
            for bound, of in (("minValues", "min"), ("maxValues", "max"))
        },
        "nullCount": {name: rows[name].null_count for name in columns},
    }


def _json_value(value: Any) -> Any:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


@cache
def _delta_extension() -> str:
    root = resources.files("duckdb_extension_delta")
    return str(root / "extensions" / f"v{duckdb.__version__}" / "delta.duckdb_extension")


def sql_text(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def load_extension(connection: duckdb.DuckDBPyConnection) -> None:
    """Lets a connection read Delta tables."""
    connection.execute(f"LOAD {sql_text(_delta_extension())}")


def connect(views: Mapping[str, Path]) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with a view on each of the given Delta tables; touches no network and no home folder."""
    connection = duckdb.connect()
    load_extension(connection)
    for name, path in views.items():
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM delta_scan({sql_text(str(path))})")
    return connection


def read_rows(path: Path, schema: TableSchema, order_by: Sequence[str] = ()) -> pa.Table:
    """The whole of a small table, sorted; with its columns but no rows where it does not exist yet."""
    if open_table(path) is None:
        return schema.arrow().empty_table()
    order = f" ORDER BY {', '.join(order_by)}" if order_by else ""
    with connect({"rows_of_table": path}) as connection:
        found = connection.execute(f"SELECT * FROM rows_of_table{order}").to_arrow_table()
    return found.select(schema.columns).cast(schema.arrow())

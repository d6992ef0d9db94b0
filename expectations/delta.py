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

from expectations import s3
from expectations.places import Location, is_local, location, replacing
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


def open_table(path: Location) -> DeltaTable | None:
    """The table at its latest version, or None where there is none."""
    options = _options(path)
    if not DeltaTable.is_deltatable(str(path), storage_options=options):
        return None
    return DeltaTable(str(path), storage_options=options)


def _options(path: Location) -> dict[str, str] | None:
    return None if is_local(path) else s3.delta_options()


def ensure_table(
    path: Location, schema: TableSchema, notes: Mapping[str, Mapping[str, str]] | None = None
) -> DeltaTable:
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
        storage_options=_options(path),
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
    path = _location(table) / f"part-{uuid.uuid4().hex}.parquet"
    with replacing(path) as file:
        # By name: a column that came later stands last in the table, wherever it is declared.
        columns = pa.schema(table.schema().to_arrow())
        pq.write_table(rows.select(columns.names).cast(columns), file, compression="zstd")
        size = file.tell()
    return AddAction(
        path=path.name,
        size=size,
        partition_values={},
        modification_time=time.time_ns() // 1_000_000,
        data_change=True,
        stats=json.dumps({"numRecords": len(rows), **_bounds(rows, skipped_by)}),
    )


def _location(table: DeltaTable) -> Location:
    uri = urlparse(table.table_uri)
    return Path(url2pathname(uri.path)) if uri.scheme in ("", "file") else location(table.table_uri)


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
def _extension(name: str) -> str:
    root = resources.files(f"duckdb_extension_{name}")
    return str(root / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension")


def sql_text(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def let_read(connection: duckdb.DuckDBPyConnection, *places: Location) -> None:
    """Lets a connection read Delta tables, and files, at these places; touches no home folder."""
    connection.execute(f"LOAD {sql_text(_extension('delta'))}")
    if not all(is_local(place) for place in places):
        connection.execute(f"LOAD {sql_text(_extension('httpfs'))}")
        connection.execute(s3.duckdb_secret())


def connect(views: Mapping[str, Location]) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with a view on each of the given Delta tables."""
    connection = duckdb.connect()
    let_read(connection, *views.values())
    for name, path in views.items():
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM delta_scan({sql_text(str(path))})")
    return connection


def read_rows(path: Location, schema: TableSchema, order_by: Sequence[str] = ()) -> pa.Table:
    """The whole of a small table, sorted; with its columns but no rows where it does not exist yet."""
    if open_table(path) is None:
        return schema.arrow().empty_table()
    order = f" ORDER BY {', '.join(order_by)}" if order_by else ""
    with connect({"rows_of_table": path}) as connection:
        found = connection.execute(f"SELECT * FROM rows_of_table{order}").to_arrow_table()
    return found.select(schema.columns).cast(schema.arrow())

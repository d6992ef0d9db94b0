"""The files of audited tables: written once, named by their content; beside each, digests that name a changed row."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.card_numbers import fingerprint
from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.files import replacing
from expectations.schema import TableSchema
from orchestration.finance.canonical import NotCanonical, content_hash, in_canonical_order, row_digests
from orchestration.finance.chain import Output
from orchestration.mart import files_folder

DOMAIN = "finance"


class FileTampered(TollgateError):
    """A published file is not what was published."""


_NAME_LETTERS = 16


def output_path(lake: Lake, output: Output) -> Path:
    """Where an output's table is."""
    return files_folder(lake, DOMAIN) / output.file


def digests_path(lake: Lake, output: Output) -> Path:
    """Where the digests of its rows are."""
    return lake.finance / "digests" / f"{output.row_digests}.bin"


def write_table(lake: Lake, table: pa.Table, schema: TableSchema) -> Output:
    """Writes a table, in its canonical order, and its digests. What is there already is not written again."""
    content, digests = content_hash(table, schema), row_digests(table, schema)
    name = f"{schema.name}_{content[:_NAME_LETTERS]}.parquet"
    path = files_folder(lake, DOMAIN) / name
    if path.exists():
        _check_is_whole(path, schema, content)
    else:
        typed = in_canonical_order(table, schema).cast(schema.arrow())
        with replacing(path) as file:
            pq.write_table(typed, file, compression="zstd")
    output = Output(
        rows=table.num_rows,
        hash=content,
        row_digests=fingerprint(digests),
        file=name,
        file_hash=fingerprint(path.read_bytes()),
    )
    if not digests_path(lake, output).exists():
        with replacing(digests_path(lake, output)) as file:
            file.write(digests)
    return output


def _check_is_whole(path: Path, schema: TableSchema, content: str) -> None:
    """What is there must be what its name says: it is about to be published under that name again."""
    try:
        found = content_hash(pq.read_table(path, partitioning=None).cast(schema.arrow()), schema)
    except (pa.ArrowInvalid, KeyError, ValueError, NotCanonical) as error:
        raise FileTampered(
            f"not a file of {schema.name}: {error}", where=path, remedy="restore it from a copy"
        ) from error
    if found != content:
        raise FileTampered("its content is not what its name says", where=path, remedy="restore it from a copy")

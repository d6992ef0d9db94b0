"""Looks for card numbers in files: text and unknown bytes as they are, packed ones unpacked, tables decoded."""

import contextlib
import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from expectations.card_numbers import MAX_DIGITS, find_card_numbers
from expectations.places import Location, files_below, is_local, open_stream, open_whole, size_bytes

_BLOCK_BYTES = 8 * 1024 * 1024
_OVERLAP_BYTES = 2 * (2 * MAX_DIGITS + 200)
"""Blocks overlap so far that a card number that starts in the middle of the overlap is whole in both, with the word
around it. So the middle parts what is looked for in one block from what is looked for in the next."""

_BATCH_ROWS = 1_000_000
_LOCKED_SECONDS = 120
"""How long a DuckDB file's writer is waited for; after that its bytes are scanned as they are."""

_EXACT_IN_FLOAT64 = 2.0**53


@dataclass(frozen=True)
class Finding:
    """Where a card number stands; never which."""

    path: Location
    place: str
    network: str


@dataclass(frozen=True)
class ScanReport:
    """What a scan covered, and what it found."""

    files: int
    bytes: int
    findings: tuple[Finding, ...]


def scan(paths: Iterable[Location]) -> ScanReport:
    """Scans files, and folders with all that is below them."""
    files, size, findings = 0, 0, []
    for path in _files(paths):
        try:
            size += size_bytes(path)
            findings += scan_file(path)
        except FileNotFoundError:
            continue  # Removed while we looked.
        files += 1
    return ScanReport(files, size, tuple(findings))


def scan_file(path: Location) -> list[Finding]:
    """Scans one file."""
    with open_stream(path) as file:
        magic = file.read(12)
    findings: list[Finding] = []
    # What is not whole is read as far as it goes, and then as bytes.
    if magic[:4] == b"PAR1":
        try:
            findings.extend(_scan_parquet(path))
            return findings
        except (pa.ArrowException, OSError):
            pass
    if magic[8:12] == b"DUCK" and is_local(path):
        try:
            findings.extend(_scan_duckdb(path))
            return findings
        except duckdb.Error:
            pass
    if magic[:2] == b"\x1f\x8b":
        try:
            with open_stream(path) as file, gzip.GzipFile(fileobj=file) as unpacked:
                findings.extend(_scan_stream(path, unpacked))
            return findings
        except (OSError, EOFError, zlib.error):
            pass
    with open_stream(path) as file:
        return [*findings, *_scan_stream(path, file)]


def _files(paths: Iterable[Location]) -> Iterator[Location]:
    for path in paths:
        if path.is_dir():
            yield from files_below(path)
        else:
            yield path


def _scan_stream(path: Location, file: BinaryIO) -> Iterator[Finding]:
    content, content_at, done = b"", 0, 0
    is_end = False
    while not is_end:
        block = file.read(_BLOCK_BYTES)
        is_end = not block
        content += block
        upto = content_at + len(content) - (0 if is_end else _OVERLAP_BYTES // 2)
        for match in find_card_numbers(content):
            if done <= content_at + match.start < upto:
                yield Finding(path, f"byte {content_at + match.start:,}", match.network)
        done = max(done, upto)
        content_at += max(0, len(content) - _OVERLAP_BYTES)
        content = content[-_OVERLAP_BYTES:]


def _scan_parquet(path: Location) -> Iterator[Finding]:
    """Text and numbers as they read when decoded; instants and truth values cannot hold a card number."""
    with open_whole(path) as content:
        file = pq.ParquetFile(content)
        columns = [
            field.name
            for field in file.schema_arrow
            if not (pa.types.is_temporal(field.type) or pa.types.is_boolean(field.type))
        ]
        for group in range(file.num_row_groups):
            for name in columns:
                values = file.read_row_group(group, columns=[name]).column(0)
                text = _as_text(values.combine_chunks())
                for match in find_card_numbers(text):
                    row = text.count(b"\n", 0, match.start)
                    yield Finding(path, f"column {name}, near row {row:,} of group {group}", match.network)


def _scan_duckdb(path: Path) -> Iterator[Finding]:
    """The tables of a DuckDB file, as Parquet's columns; its bytes would show texts of six and of four digits that
    stand beside each other in a dictionary as one number. A column at a time, so that its writer is not kept out."""
    with _opened(path) as connection:
        columns = connection.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
            "WHERE NOT internal AND table_oid IN (SELECT table_oid FROM duckdb_tables()) "
            "AND data_type NOT LIKE 'TIME%' AND data_type NOT IN ('DATE', 'BOOLEAN')"
        ).fetchall()
    for schema, table, column in columns:
        # A table may be gone by then.
        with _opened(path) as connection, contextlib.suppress(duckdb.CatalogException, duckdb.BinderException):
            relation = connection.execute(f'SELECT "{column}" FROM "{schema}"."{table}"')
            for number, batch in enumerate(relation.to_arrow_reader(_BATCH_ROWS)):
                for match in find_card_numbers(_as_text(batch.column(0))):
                    yield Finding(path, f"column {column} of {schema}.{table}, in block {number}", match.network)


@retry(
    retry=retry_if_exception(lambda error: isinstance(error, duckdb.IOException) and "lock" in str(error)),
    wait=wait_fixed(0.5),
    stop=stop_after_delay(_LOCKED_SECONDS),
    reraise=True,
)
def _opened(path: Path) -> duckdb.DuckDBPyConnection:
    """For reading, once its writer lets go of it."""
    return duckdb.connect(path, read_only=True)


def _as_text(values: pa.Array) -> bytes:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_nested(values.type):
        return "\n".join(map(str, values.to_pylist())).encode()
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return b"\n".join(value or b"" for value in values.to_pylist())
    if pa.types.is_floating(values.type):
        # Whole numbers, as pandas makes them of integers beside nulls; a fraction is no card number.
        is_whole = pc.and_(pc.equal(values, pc.round(values)), pc.less(pc.abs(values), _EXACT_IN_FLOAT64))
        values = pc.cast(pc.if_else(is_whole, values, None), pa.int64())
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        values = pc.cast(values, pa.string())
    sink = pa.BufferOutputStream()
    pacsv.write_csv(pa.table({"": values}), sink, pacsv.WriteOptions(include_header=False))
    return sink.getvalue().to_pybytes()

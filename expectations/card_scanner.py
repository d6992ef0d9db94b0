"""Looks for card numbers in files: text and unknown bytes as they are, packed ones unpacked, Parquet decoded."""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from expectations.card_numbers import MAX_DIGITS, find_card_numbers

_BLOCK_BYTES = 8 * 1024 * 1024
_OVERLAP_BYTES = 2 * MAX_DIGITS + 200
"""Blocks overlap so far that a card number, with the word around it, is whole in one of them."""


@dataclass(frozen=True)
class Finding:
    """Where a card number stands; never which."""

    path: Path
    place: str
    network: str


@dataclass(frozen=True)
class ScanReport:
    """What a scan covered, and what it found."""

    files: int
    bytes: int
    findings: tuple[Finding, ...]


def scan(paths: Iterable[Path]) -> ScanReport:
    """Scans files, and folders with all that is below them."""
    files, size, findings = 0, 0, []
    for path in _files(paths):
        try:
            size += path.stat().st_size
            findings += scan_file(path)
        except FileNotFoundError:
            continue  # Removed while we looked.
        files += 1
    return ScanReport(files, size, tuple(findings))


def scan_file(path: Path) -> list[Finding]:
    """Scans one file."""
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic == b"PAR1":
        try:
            return list(_scan_parquet(path))
        except pa.ArrowInvalid:
            pass  # Not whole: read it as bytes.
    if magic[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path, "rb") as unpacked:
                return list(_scan_stream(path, unpacked))
        except (OSError, EOFError):
            pass
    with open(path, "rb") as file:
        return list(_scan_stream(path, file))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*") if found.is_file() and not found.is_symlink())
        else:
            yield path


def _scan_stream(path: Path, file: gzip.GzipFile) -> Iterator[Finding]:
    kept, kept_at, known = b"", 0, -1
    while block := file.read(_BLOCK_BYTES):
        content = kept + block
        for match in find_card_numbers(content):
            if kept_at + match.start > known:
                known = kept_at + match.start
                yield Finding(path, f"byte {known:,}", match.network)
        kept_at += max(0, len(content) - _OVERLAP_BYTES)
        kept = content[-_OVERLAP_BYTES:]


def _scan_parquet(path: Path) -> Iterator[Finding]:
    """Text and numbers as they read when decoded; instants and truth values cannot hold a card number."""
    file = pq.ParquetFile(path)
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


def _as_text(values: pa.Array) -> bytes:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_nested(values.type):
        return "\n".join(map(str, values.to_pylist())).encode()
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return b"\n".join(value or b"" for value in values.to_pylist())
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        values = pc.cast(values, pa.string())
    sink = pa.BufferOutputStream()
    pacsv.write_csv(pa.table({"": values}), sink, pacsv.WriteOptions(include_header=False))
    return sink.getvalue().to_pybytes()

"""What a lake holds: its files byte for byte, its chunks and tables row for row."""

from typing import Any

import pyarrow.parquet as pq

from expectations.catalog import Lake
from expectations.delta import open_table
from expectations.landing import Chunk, list_chunks, read_chunk
from expectations.places import Location, files_below, location, open_whole


def files(folder: Location) -> dict[str, bytes]:
    """Every file by its path in the folder, but for locks."""
    found = (path for path in files_below(folder) if path.suffix != ".lock")
    return {str(path).removeprefix(f"{folder}/"): path.read_bytes() for path in found}


def landing_files(lake: Lake) -> dict[str, bytes]:
    """The chunk files by name. A hidden file that a killed writer left is none."""
    return {name: content for name, content in files(lake.landing).items() if not name.startswith(".")}


def chunks(lake: Lake) -> list[tuple[Chunk, list[dict[str, Any]]]]:
    """Each chunk with its rows, in the log's order."""
    return [(chunk, read_chunk(lake.landing / chunk.name).to_pylist()) for chunk in list_chunks(lake.landing)]


def rows(lake: Lake, table: str, order_by: str) -> list[dict[str, Any]]:
    """The rows of one of the lake's tables in the order of a column; none where it does not exist."""
    return delta_rows(lake.table(table), order_by)


def delta_rows(path: Location, order_by: str) -> list[dict[str, Any]]:
    """A Delta table's rows in the order of a column; reads its files one by one, without an engine."""
    table = open_table(path)
    files = [location(uri.removeprefix("file://")) for uri in table.file_uris()] if table is not None else []
    parts = [row for file in files for row in pq.ParquetFile(open_whole(file)).read().to_pylist()]
    return sorted(parts, key=lambda row: row[order_by])

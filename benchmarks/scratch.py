"""Where benchmarks write: the company's log, made once and kept, and lakes that vanish afterwards."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
from pydantic import SecretStr

from expectations.catalog import Lake
from expectations.settings import HOME, Settings, load_settings
from expectations.thresholds import CHUNK_SIZE_ROWS

FOLDER = HOME.resolve() / "bench"
"""On the disk of a real lake, so that an fsync costs what it costs there."""

SEED = 7
_TOKEN_KEY = SecretStr("a key for benchmarks, which protects nothing")
_BLOCK_BYTES = 16 * 1024 * 1024


def company_log(rows: int) -> Path:
    """The simulated company's log of so many rows, in our own format, about 250 bytes each."""
    from data.simulate import write_log

    path = FOLDER / f"company_{rows}.csv"
    if not path.exists():
        print(f"  making a log of {rows:,} rows once: {path}", flush=True)
        write_log(path, rows, SEED)
    return path


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A folder that is gone after the block."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=FOLDER))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def lake_settings(log: Path, root: Path, chunk_size: int = CHUNK_SIZE_ROWS) -> Settings:
    """The settings of a scratch lake, whatever this place's own say."""
    return load_settings(log=log, lake=root, chunk_size=chunk_size, token_key=_TOKEN_KEY)


def place_at(settings: Settings, row: int) -> None:
    """Gives a new lake the offset that it would have, had all rows before `row` been chunked."""
    from expectations.card_numbers import fingerprint
    from expectations.clock import system_clock
    from expectations.offset import Offset, read_fenced, write_offset
    from expectations.sources.registry import recognise
    from expectations.thresholds import FINGERPRINT_BYTES
    from orchestration.chunking.source_log import open_log, read_header, source_name

    log = open_log(settings.log)
    (at,) = byte_offsets(settings.log, [row])
    size = min(at, FINGERPRINT_BYTES)
    offset = Offset(
        source=source_name(settings.log),
        adapter=recognise(read_header(log), settings.log).name,
        chunk_size=settings.chunk_size,
        head_fingerprint=fingerprint(log.read(0, size)),
        tail_fingerprint=fingerprint(log.read(at - size, size)),
        entries=row,
        byte_offset=at,
        is_final=False,
        committed_at=system_clock(),
    )
    lake = Lake(settings.lake)
    _claim_bronze_rows(lake, row)
    write_offset(lake.offset_file, offset, over=read_fenced(lake.offset_file)[1])


def _claim_bronze_rows(lake: Lake, rows: int) -> None:
    """Bronze says that it holds so many rows, which is all that a tick asks it; there is no file behind it."""
    from deltalake.transaction import AddAction

    from expectations import delta
    from expectations.tables import PAYMENTS_RAW_BRONZE

    table = delta.ensure_table(lake.table(PAYMENTS_RAW_BRONZE.name), PAYMENTS_RAW_BRONZE)
    claim = AddAction("before.parquet", 0, {}, 0, data_change=True, stats=json.dumps({"numRecords": rows}))
    table.create_write_transaction([claim], mode="append", schema=table.schema())


def byte_offsets(log: Path, rows: Sequence[int]) -> list[int]:
    """Where each row (from 0, ascending) of a log without quoted newlines begins."""
    if any(later < earlier for earlier, later in pairwise(rows)):
        raise ValueError(f"rows must ascend: {rows}")
    found: list[int] = []
    lines, at = 0, 0
    with open(log, "rb") as file:
        while len(found) < len(rows) and (block := file.read(_BLOCK_BYTES)):
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
            # Row 0 begins behind the header's newline, which is line 0; row r behind newline r.
            while len(found) < len(rows) and rows[len(found)] < lines + len(ends):
                found.append(at + int(ends[rows[len(found)] - lines]) + 1)
            lines, at = lines + len(ends), at + len(block)
    if len(found) < len(rows):
        raise ValueError(f"{log} has no row {rows[len(found)]:,}")
    return found

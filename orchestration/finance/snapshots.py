"""Frozen inputs: what a business day was reconciled from, written once, named by its content, never changed."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from expectations.card_numbers import fingerprint
from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.files import replacing, sync_folder
from expectations.finance import BANK_TABLES, PLATFORM_PAYMENTS
from expectations.schema import TableSchema
from orchestration.finance.canonical import content_hash
from orchestration.finance.chain import TableHash
from orchestration.outcomes import CheckDeclaration, Outcome

BANK, PLATFORM = "bank", "platform"
_SCHEMAS: Mapping[str, tuple[TableSchema, ...]] = {BANK: BANK_TABLES, PLATFORM: (PLATFORM_PAYMENTS,)}
_IDENTITY_LETTERS = 16
FROZEN = {
    side: CheckDeclaration(asset, "frozen_as_it_was_read", "What was written holds, read again, what was read.")
    for side, asset in ((BANK, "core_banking_snapshot"), (PLATFORM, "platform_snapshot"))
}


class Snapshot(BaseModel):
    """One side's day as it was read.

    Attributes:
        side: `bank` or `platform`.
        business_date: the day.
        snapshot: its identity, made from what it holds: the same content is the same snapshot.
        tables: what it holds.
        source: from where it was read, without secrets.
        source_version: which version of the source, if it has versions.
        taken_at: when it was read first, UTC.
    """

    model_config = ConfigDict(frozen=True)

    side: str
    business_date: date
    snapshot: str
    tables: dict[str, TableHash]
    source: str
    source_version: str = ""
    taken_at: datetime


class InputMissing(TollgateError):
    """A day's input has not been frozen yet."""


class InputChanged(TollgateError):
    """A frozen input is not what was frozen."""


@dataclass(frozen=True)
class Freezing:
    """What freezing came to: the snapshot, and whether it is a new one."""

    snapshot: Snapshot
    is_new: bool


def folder(lake: Lake, side: str, day: date, snapshot: str = "") -> Path:
    """Where a day's snapshots are, or one of them."""
    return lake.finance / "inputs" / side / day.isoformat() / snapshot


def freeze(
    lake: Lake,
    side: str,
    day: date,
    tables: Mapping[str, pa.Table],
    source: str,
    now: datetime,
    source_version: str = "",
) -> Freezing:
    """Writes a snapshot, and makes it the day's newest one. What is there already is not touched."""
    frozen = {
        schema.name: TableHash(rows=tables[schema.name].num_rows, hash=content_hash(tables[schema.name], schema))
        for schema in _SCHEMAS[side]
    }
    identity = fingerprint(repr(sorted((name, table.hash) for name, table in frozen.items())).encode())
    snapshot = Snapshot(
        side=side,
        business_date=day,
        snapshot=identity[:_IDENTITY_LETTERS],
        tables=frozen,
        source=source,
        source_version=source_version,
        taken_at=now.astimezone(UTC),
    )
    place = folder(lake, side, day, snapshot.snapshot)
    lake.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(lake.locks / "finance_inputs.lock"):
        is_new = not place.exists()
        if is_new:
            _write(place, snapshot, tables)
    if not is_new:
        snapshot = read_snapshot(lake, side, day, snapshot.snapshot)
    with replacing(folder(lake, side, day) / "newest.json") as file:
        file.write(json.dumps({"snapshot": snapshot.snapshot}).encode())
    return Freezing(snapshot, is_new)


def _write(place: Path, snapshot: Snapshot, tables: Mapping[str, pa.Table]) -> None:
    """The folder comes into being whole: it is filled under a hidden name, and renamed."""
    hidden = place.with_name(f".{place.name}.tmp")
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir(parents=True)
    for name in snapshot.tables:
        with replacing(hidden / f"{name}.parquet") as file:
            pq.write_table(tables[name], file, compression="zstd")
    with replacing(hidden / "snapshot.json") as file:
        file.write(snapshot.model_dump_json(indent=1).encode() + b"\n")
    hidden.rename(place)
    sync_folder(place.parent)


def newest_snapshot(lake: Lake, side: str, day: date) -> Snapshot:
    """The snapshot that was taken last.

    Raises:
        InputMissing: there is none.
    """
    pointer = folder(lake, side, day) / "newest.json"
    if not pointer.exists():
        raise InputMissing(
            f"the {side}'s day {day} has not been frozen", where=pointer.parent, remedy=f"materialise {side} snapshot"
        )
    return read_snapshot(lake, side, day, json.loads(pointer.read_bytes())["snapshot"])


def read_snapshot(lake: Lake, side: str, day: date, snapshot: str) -> Snapshot:
    """What is said of a snapshot."""
    return Snapshot.model_validate_json((folder(lake, side, day, snapshot) / "snapshot.json").read_bytes())


def read_tables(lake: Lake, side: str, day: date, snapshot: str) -> dict[str, pa.Table]:
    """A snapshot's tables, with exactly the types of their schemas."""
    place = folder(lake, side, day, snapshot)
    return {
        schema.name: pq.read_table(place / f"{schema.name}.parquet", partitioning=None).cast(schema.arrow())
        for schema in _SCHEMAS[side]
    }


def changed_tables(snapshot: Snapshot, tables: Mapping[str, pa.Table]) -> list[str]:
    """The tables that do not hold what was frozen."""
    schemas = {schema.name: schema for schema in _SCHEMAS[snapshot.side]}
    return [
        name for name, frozen in snapshot.tables.items() if content_hash(tables[name], schemas[name]) != frozen.hash
    ]


def frozen_outcome(lake: Lake, snapshot: Snapshot) -> Outcome:
    """Whether a snapshot's files hold what was frozen."""
    tables = read_tables(lake, snapshot.side, snapshot.business_date, snapshot.snapshot)
    changed = changed_tables(snapshot, tables)
    rows = sum(table.rows for table in snapshot.tables.values())
    summary = f"changed: {', '.join(changed)}" if changed else f"{rows:,} rows of {len(tables)} tables are as they were"
    return FROZEN[snapshot.side].outcome(not changed, summary, rows=rows)

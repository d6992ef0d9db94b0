"""Write, audit, publish: what the warehouse holds becomes immutable files, and these become what readers see.

Files are written where no reader looks, under names that tell their content; then the manifests; then one small file
that says which versions are current; then the file of views. A publication that is killed anywhere and run again
leaves what an undisturbed one leaves.
"""

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.catalog import Lake
from expectations.clock import Clock
from expectations.delta import sql_text
from expectations.errors import TollgateError
from expectations.files import replacing, sync_folder
from expectations.silver import SILVER_TABLES
from orchestration.mart import (
    GOLD,
    SILVER,
    CommitPoint,
    Files,
    PublishedFile,
    Version,
    Versions,
    current_version,
    current_versions,
    files_folder,
    identified,
    publishing_alone,
    short_digest,
    show,
)
from orchestration.medallion import gate
from orchestration.outcomes import Outcome

PART_ROWS = 500_000
"""Entries of the source log, at most, in one file of silver: it is sorted in memory."""

_COMPRESSION = "zstd"
_SILVER_NAMES = [table.name for table in SILVER_TABLES]
_NEEDED = {*_SILVER_NAMES, "increments", "as_of", "payments_hourly", "retries_hourly", "histograms_hourly"}


@dataclass(frozen=True)
class Publication:
    """What an attempt to publish came to.

    Attributes:
        versions: what readers see now, by domain.
        outcomes: the verdicts of all checks.
        is_published: readers see what the warehouse holds; otherwise what they saw before.
        is_new: something had to be written for that.
        bronze_rows: entry of the source log up to which the warehouse covers bronze (exclusive).
        as_of: what its gold takes for now.
        new_rows: rows of silver that had not been published before.
        newest_event_at, newest_ingested_at: of what had not been published before; None if that is nothing.
        files, bytes: the Parquet files that were written.
        duration_s: wall time.
    """

    versions: Versions
    outcomes: tuple[Outcome, ...]
    is_published: bool
    is_new: bool
    bronze_rows: int
    as_of: datetime | None
    new_rows: int
    newest_event_at: datetime | None
    newest_ingested_at: datetime | None
    files: int
    bytes: int
    duration_s: float

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Why it was not published."""
        return tuple(outcome for outcome in self.outcomes if not outcome.passed)


@dataclass(frozen=True)
class Compaction:
    """What merging silver's small files came to."""

    files_before: int
    files_after: int
    is_new: bool


def published_rows(lake: Lake) -> int:
    """Entry of the source log up to which published gold covers bronze (exclusive); 0 at first."""
    version = current_version(lake, GOLD)
    return version.bronze_rows if version else 0


def publish(
    lake: Lake,
    clock: Clock,
    extra_outcomes: Sequence[Outcome] = (),
    generation: str = "",
    passed: CommitPoint = lambda point: None,
) -> Publication:
    """Audits what the warehouse holds and, if every check passes, shows it to readers. Hold the warehouse lock.

    Args:
        lake: whose warehouse and marts.
        clock: the time of publication.
        extra_outcomes: verdicts of other blocking checks, such as failed tests of dbt.
        generation: names the state of silver's older rows. Where it is not that of the published silver, or where the
            ledger has another past, all of silver is audited and written anew.
        passed: told each commit point.

    Raises:
        TollgateError: there is no warehouse, or a table is missing in it.
    """
    started = time.perf_counter()
    with publishing_alone(lake), _warehouse(lake) as connection:
        current = current_versions(lake)
        state = _read_state(connection, current, generation)
        outcomes = (*extra_outcomes, *gate.audit(connection, state.gold, state.published, state.from_row))
        writer, is_new = _Writer(lake, connection), False
        if is_published := all(outcome.passed for outcome in outcomes):
            passed("audit")
            shared = _shared_by_domains(state, outcomes, clock())
            files = _write_silver(writer, state)
            silver = Version(domain=SILVER, files=files, generation=state.generation, ledger=state.ledger, **shared)
            passed("silver files")
            gold = Version(domain=GOLD, files=_write_gold(writer, state.gold), **shared)
            passed("gold files")
            is_new = show(lake, {**current, SILVER: identified(silver), GOLD: identified(gold)}, passed)
        versions = current_versions(lake)
    return Publication(
        versions=versions,
        outcomes=outcomes,
        is_published=is_published,
        is_new=is_new,
        bronze_rows=state.position.bronze_rows,
        as_of=state.position.as_of,
        new_rows=state.new_rows,
        newest_event_at=state.newest_event_at,
        newest_ingested_at=state.newest_ingested_at,
        files=writer.files,
        bytes=writer.bytes,
        duration_s=time.perf_counter() - started,
    )


def compact_silver(lake: Lake, clock: Clock, passed: CommitPoint = lambda point: None) -> Compaction:
    """Merges small files of silver's current version into large ones, as a new version with the same content.

    Publications go on while the large files are written; what they add in the meantime stays.
    """
    version = current_version(lake, SILVER)
    if version is None:
        return Compaction(0, 0, False)
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        writer = _Writer(lake, connection)
        merged = {relation: _merge_small(writer, relation, files) for relation, files in version.files.items()}
    passed("merged files")
    with publishing_alone(lake):
        current = current_versions(lake)
        before = current[SILVER].files
        after = {relation: _spliced(files, merged.get(relation, [])) for relation, files in before.items()}
        is_new = after != before
        if is_new:
            compacted = current[SILVER].model_copy(update={"files": after, "published_at": clock()})
            show(lake, {**current, SILVER: identified(compacted)}, passed)
    return Compaction(_file_count(before), _file_count(after), is_new)


@dataclass(frozen=True)
class _State:
    """What the warehouse holds, beside what is published of it.

    Attributes:
        position: how far the warehouse is.
        published: how far readers are.
        base: the published silver, if what the warehouse holds goes on from there.
        generation, ledger: the identity of its rows.
        gold: its gold views.
        new_rows, newest_event_at, newest_ingested_at: what is not published.
    """

    position: gate.Position
    published: gate.Position
    base: Version | None
    generation: str
    ledger: str
    gold: gate.Gold
    new_rows: int
    newest_event_at: datetime | None
    newest_ingested_at: datetime | None

    @property
    def from_row(self) -> int:
        """Where the rows begin that the published silver does not hold."""
        return self.base.bronze_rows if self.base else 0


@contextlib.contextmanager
def _warehouse(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, opened for reading."""
    remedy = "build silver and gold first"
    if not lake.warehouse.exists():
        raise TollgateError("there is no warehouse yet", where=lake.warehouse, remedy=remedy)
    with contextlib.closing(duckdb.connect(str(lake.warehouse), read_only=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        held = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'silver'"
        ).fetchall()
        missing = sorted(_NEEDED - {name for (name,) in held})
        if missing:
            raise TollgateError(f"the warehouse lacks silver.{missing[0]}", where=lake.warehouse, remedy=remedy)
        yield connection


def _read_state(connection: duckdb.DuckDBPyConnection, current: Versions, generation: str) -> _State:
    silver, gold = current.get(SILVER), current.get(GOLD)
    position = gate.read_position(connection)
    is_continued = (
        silver is not None
        and silver.generation == generation
        and silver.ledger == _ledger_digest(connection, silver.bronze_rows)
    )
    published = (
        gate.Position(gold.bronze_rows, gold.as_of, gold.is_live, gold.newest_event_at) if gold else gate.Position()
    )
    new_rows, newest_event_at, newest_ingested_at = connection.execute(
        "SELECT coalesce(sum(silver_rows), 0)::BIGINT, max(newest_event_at), max(newest_ingested_at) "
        f"FROM silver.increments WHERE upto_row > {published.bronze_rows}"
    ).fetchone()
    return _State(
        position=position,
        published=published,
        base=silver if is_continued else None,
        generation=generation,
        ledger=_ledger_digest(connection, position.bronze_rows),
        gold=gate.read_gold(connection),
        new_rows=new_rows,
        newest_event_at=newest_event_at,
        newest_ingested_at=newest_ingested_at,
    )


def _ledger_digest(connection: duckdb.DuckDBPyConnection, upto_row: int) -> str:
    """A digest of the increments up to a row, and of silver's columns."""
    increments = connection.execute(
        f"SELECT count(*), sum(hash(increments)::HUGEINT) FROM silver.increments WHERE upto_row <= {upto_row}"
    ).fetchone()
    columns = connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE schema_name = 'silver' AND list_contains(?, table_name) ORDER BY table_name, column_index",
        [_SILVER_NAMES],
    ).fetchall()
    return short_digest(repr((increments, columns)).encode())


def _shared_by_domains(state: _State, outcomes: tuple[Outcome, ...], now: datetime) -> dict[str, Any]:
    """What the versions of both domains say of themselves."""
    return {
        "as_of": state.position.as_of,
        "is_live": state.position.is_live,
        "published_at": now,
        "bronze_rows": state.position.bronze_rows,
        "newest_event_at": state.position.newest_event_at,
        "outcomes": outcomes,
    }


def _write_gold(writer: "_Writer", gold: gate.Gold) -> Files:
    """One file per view; a view that has not changed has the file that it had."""
    return {view: (PublishedFile(name=writer.store(view, rows), rows=len(rows)),) for view, rows in gold.views.items()}


def _write_silver(writer: "_Writer", state: _State) -> Files:
    """What is published of silver already, and the rows that have come since."""
    found = {}
    for relation in _SILVER_NAMES:
        before = state.base.files[relation] if state.base else ()
        new = _write_parts(writer, relation, state.from_row, state.position.bronze_rows)
        # A relation without rows still has columns.
        found[relation] = (*before, *new) or (_write_part(writer, relation, 0, 0),)
    return found


def _write_parts(writer: "_Writer", relation: str, start: int, end: int) -> Iterator[PublishedFile]:
    """The rows from `start` on, in files of bounded size; none for entries of which this relation has no row."""
    for first in range(start, end, PART_ROWS):
        upto = min(first + PART_ROWS, end)
        (rows,) = writer.connection.execute(f"SELECT count(*) {_rows_between(relation, first, upto)}").fetchone()
        if rows:
            yield _write_part(writer, relation, first, upto, rows)


def _write_part(writer: "_Writer", relation: str, first: int, upto: int, rows: int = 0) -> PublishedFile:
    found = f"SELECT * {_rows_between(relation, first, upto)} ORDER BY _row_number"
    name = writer.copy(f"{relation}_{first}_{upto}", found)
    return PublishedFile(name=name, rows=rows, from_row=first, upto_row=upto)


def _rows_between(relation: str, first: int, upto: int) -> str:
    return f"FROM silver.{relation} WHERE _row_number >= {first} AND _row_number < {upto}"


@dataclass(frozen=True)
class _Merged:
    """A file that can take the place of some that follow each other."""

    sources: tuple[PublishedFile, ...]
    file: PublishedFile


def _merge_small(writer: "_Writer", relation: str, files: tuple[PublishedFile, ...]) -> list[_Merged]:
    """Merges neighbours as long as they stay within the size of a part."""
    return [_merge(writer, relation, group) for group in _neighbours(files) if len(group) > 1]


def _neighbours(files: tuple[PublishedFile, ...]) -> list[tuple[PublishedFile, ...]]:
    groups: list[tuple[PublishedFile, ...]] = []
    for file in files:
        if groups and sum(other.rows for other in groups[-1]) + file.rows <= PART_ROWS:
            groups[-1] = (*groups[-1], file)
        else:
            groups.append((file,))
    return groups


def _merge(writer: "_Writer", relation: str, files: tuple[PublishedFile, ...]) -> _Merged:
    first, upto = files[0].from_row, files[-1].upto_row
    folder = files_folder(writer.lake, SILVER)
    paths = ", ".join(sql_text(str(folder / file.name)) for file in files)
    name = writer.copy(f"{relation}_{first}_{upto}", f"SELECT * FROM read_parquet([{paths}]) ORDER BY _row_number")
    rows = sum(file.rows for file in files)
    return _Merged(files, PublishedFile(name=name, rows=rows, from_row=first, upto_row=upto))


def _spliced(files: tuple[PublishedFile, ...], merged: Sequence[_Merged]) -> tuple[PublishedFile, ...]:
    """The files with merged ones in the place of their sources, where these are still there."""
    for one in merged:
        if {*one.sources} <= {*files}:
            at = files.index(one.sources[0])
            files = (*files[:at], one.file, *files[at + len(one.sources) :])
    return files


def _file_count(files: Files) -> int:
    return sum(len(found) for found in files.values())


@dataclass
class _Writer:
    """Writes Parquet files under names that tell their content; what is there already is left alone.

    Attributes:
        lake: whose marts.
        connection: where the rows come from.
        files, bytes: what was written.
    """

    lake: Lake
    connection: duckdb.DuckDBPyConnection
    files: int = 0
    bytes: int = 0

    def store(self, view: str, rows: pa.Table) -> str:
        """The few rows of a gold view; returns the file's name."""
        content = io.BytesIO()
        pq.write_table(rows, content, compression=_COMPRESSION)
        path = files_folder(self.lake, GOLD) / f"{view}_{short_digest(content.getvalue())}.parquet"
        if not path.exists():
            with replacing(path) as file:
                file.write(content.getvalue())
            self._count(path)
        return path.name

    def copy(self, stem: str, sql: str) -> str:
        """The many rows of silver, straight to disk; returns the file's name."""
        folder = files_folder(self.lake, SILVER)
        folder.mkdir(parents=True, exist_ok=True)
        hidden = folder / f".{stem}.tmp"
        target = f"{sql_text(str(hidden))} (FORMAT parquet, COMPRESSION {_COMPRESSION}, USE_TMP_FILE false)"
        self.connection.execute(f"COPY ({sql}) TO {target}")
        with open(hidden, "rb+") as file:
            digest = short_digest(hashlib.file_digest(file, "sha256").digest())
            os.fsync(file.fileno())
        path = folder / f"{stem}_{digest}.parquet"
        if path.exists():
            hidden.unlink()
        else:
            hidden.rename(path)
            sync_folder(folder)
            self._count(path)
        return path.name

    def _count(self, path: Path) -> None:
        self.files += 1
        self.bytes += path.stat().st_size

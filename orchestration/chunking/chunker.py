"""Mechanism X: cuts a transaction log into chunks, one tick at a time.

A tick reads the next entries up to the next grid line, brings them into the canonical shape without card numbers,
claims them, and commits in a fixed order: quarantine, chunk file, bronze, offset. Each step leaves alone what an
earlier, killed tick has done, so that running a tick again completes it.

On one machine a lock keeps other chunkers out. Where none can, on S3, the claim does: it is written over the offset as
it was read, so that one chunker alone decides how far a chunk goes. Others may commit it too, with the same result, and
the offset moves once.
"""

import errno
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from expectations import delta, tables
from expectations.bronze import APP, bronze_rows
from expectations.card_numbers import TokeniserFactory, fingerprint
from expectations.catalog import Lake
from expectations.clock import Clock
from expectations.errors import LakeMismatch, SourceError
from expectations.landing import Chunk, encode_chunk, list_chunks, read_chunk, write_chunk
from expectations.locks import chunker_alone
from expectations.offset import Offset, read_fenced, write_offset
from expectations.places import Location, Superseded
from expectations.schema import TableSchema
from expectations.sources.adapter import Adapted, Rejection, SourceAdapter, SourceBlock, adapt
from expectations.sources.csv_records import split_records
from expectations.sources.references import References
from expectations.sources.registry import recognise
from expectations.thresholds import FINGERPRINT_BYTES, MAX_ENTRY_BYTES
from orchestration.chunking.gates import check_chunk, check_totals
from orchestration.chunking.source_log import SourceLog, open_log, read_header, source_name

_FIRST_GUESS_BYTES_PER_ENTRY = 400

CommitPoint = Callable[[str], None]
"""Called by name when a commit point has been passed; tests die there."""


@dataclass(frozen=True)
class Tick:
    """What one tick did. Money is by currency, in minor units.

    Attributes:
        chunk: the chunk that was written or adopted.
        path: where it is.
        rows: events in it.
        quarantined: entries that went to quarantine instead.
        bronze_rows, quarantine_rows: what the two tables hold by now, as they count themselves.
        is_adopted: the file was there already, left by a tick that was killed.
        offset: the committed offset.
        amount_minor: sum over the chunk's rows.
        quarantined_minor: sum over the quarantined entries whose amount could be read.
        newest_event_at: the latest event time among the rows.
        duration_s: wall time of the tick.
    """

    chunk: Chunk
    path: Location
    rows: int
    quarantined: int
    bronze_rows: int
    quarantine_rows: int
    is_adopted: bool
    offset: Offset
    amount_minor: dict[str, int]
    quarantined_minor: dict[str, int]
    newest_event_at: datetime | None
    duration_s: float


@dataclass
class Chunker:
    """Works one log into one lake. Use it inside `with chunker.alone():`, which keeps other chunkers out.

    Attributes:
        lake: where to.
        log_path: the transaction log.
        chunk_size: entries per grid cell, and at most per chunk.
        clock: the time of ingestion.
        make_tokeniser: called once a card number is met.
        day_zero: for sources that count days.
        passed: told each commit point.
        references: what is known of cards and customers apart from the log.
    """

    lake: Lake
    log_path: Location
    chunk_size: int
    clock: Clock
    make_tokeniser: TokeniserFactory
    day_zero: datetime
    passed: CommitPoint = field(default=lambda point: None)
    references: References | None = None
    _log: SourceLog | None = None
    _session: "_Session | None" = None
    _version: str | None = None
    _tables: dict[str, delta.DeltaTable] = field(default_factory=dict)

    @contextmanager
    def alone(self) -> Iterator["Chunker"]:
        """Holds the lake's chunker lock.

        Raises:
            LakeBusy: another chunker holds it.
        """
        with chunker_alone(self.lake):
            yield self

    def tick(self, is_final: bool = False) -> Tick | None:
        """Chunks the next entries; None where there are none. What another chunker commits first is left to it.

        Args:
            is_final: the log is complete: its last line may lack a newline, and once nothing is left the offset says
                so, which lets the last, shorter grid cell be evaluated.

        Raises:
            SourceError: the log is not what it was, or cannot be read.
            LakeMismatch: the lake holds another log or another grid.
        """
        while True:
            try:
                return self._tick(is_final)
            except Superseded:
                continue  # The offset has moved, so somebody gets on.

    def _tick(self, is_final: bool) -> Tick | None:
        started = time.perf_counter()
        log = self._log = self._log or open_log(self.log_path)
        is_final = is_final or log.is_finished
        offset, self._version = read_fenced(self.lake.offset_file)
        session = self._open(log, offset, is_final)
        if session is None:
            return None
        block = self._next_block(log, session, is_final)
        if len(block) == 0:
            self._finish(log, session, is_final)
            return None
        return self._commit(session, block, started, is_final and self._is_drained(log, session, block))

    def _open(self, log: SourceLog, offset: Offset | None, is_final: bool) -> "_Session | None":
        """The header and the verified position; None while the log has no header yet."""
        # The head of a packed log costs a new start, and it is finished: it is read once.
        header = self._session.header_line if self._session and log.is_finished else read_header(log, is_final)
        if not header:
            if offset is not None:
                raise SourceError("the log is empty, but was not", where=log.path, remedy="restore the log")
            if is_final:
                raise SourceError("the log is empty", where=log.path, remedy="a log has at least a header line")
            return None
        session = self._session
        if session is None or session.header_line != header:
            adapter = recognise(header, log.path)
            session = _Session(header, adapter, adapter.header(header), self._start(log, adapter, header))
        if offset is None:
            self._reject_orphans()
            offset = session.start
        if not (log.is_finished and session.position == offset):
            self._verify(log, offset, session)
            session = replace(
                session,
                position=offset,
                head=log.read(0, min(FINGERPRINT_BYTES, offset.byte_offset)),
                tail=log.read(
                    max(0, offset.byte_offset - FINGERPRINT_BYTES), min(FINGERPRINT_BYTES, offset.byte_offset)
                ),
            )
        self._session = session
        return session

    def _start(self, log: SourceLog, adapter: SourceAdapter, header: bytes) -> Offset:
        return Offset(
            source=source_name(log.path),
            adapter=adapter.name,
            chunk_size=self.chunk_size,
            head_fingerprint=fingerprint(header[:FINGERPRINT_BYTES]),
            tail_fingerprint=fingerprint(header[-FINGERPRINT_BYTES:]),
            entries=0,
            byte_offset=len(header),
            is_final=False,
            committed_at=self.clock(),
        )

    def _reject_orphans(self) -> None:
        """Without an offset the lake must be new: the first tick claims its entries before it writes anything else."""
        if list_chunks(self.lake.landing) or list_chunks(self.lake.archive):
            raise LakeMismatch(
                "the lake has chunks but no offset",
                where=self.lake.offset_file,
                remedy="restore it, or take a new lake",
            )

    def _verify(self, log: SourceLog, offset: Offset, session: "_Session") -> None:
        """The log must be the one that the offset was committed for."""
        lake = self.lake.root
        if offset.source != source_name(log.path) or offset.adapter != session.adapter.name:
            raise LakeMismatch(
                f"the lake holds the log {offset.source} ({offset.adapter}), not {source_name(log.path)} "
                f"({session.adapter.name})",
                where=lake,
                remedy="one lake holds one source: choose another with --lake",
            )
        if offset.chunk_size != self.chunk_size:
            raise LakeMismatch(
                f"the lake's grid is {offset.chunk_size:,} entries, not {self.chunk_size:,}",
                where=lake,
                remedy=f"use --chunk-size {offset.chunk_size}, or another lake",
            )
        size = min(FINGERPRINT_BYTES, offset.byte_offset)
        tail = log.read(offset.byte_offset - size, size)
        if len(tail) < size:
            raise SourceError(
                f"the log has shrunk below byte {offset.byte_offset:,}, which was read already",
                where=log.path,
                remedy="restore the log, or take a new lake for the new one",
            )
        if fingerprint(tail) != offset.tail_fingerprint or fingerprint(log.read(0, size)) != offset.head_fingerprint:
            raise SourceError(
                f"the log was rewritten or rotated: what lies before byte {offset.byte_offset:,} has changed",
                where=log.path,
                remedy="restore the log, or take a new lake for the new one",
            )
        if offset.is_final and log.read(offset.byte_offset, 1):
            raise SourceError(
                f"the log was declared final at entry {offset.entries:,}, but has grown",
                where=log.path,
                remedy="take a new lake, or cut the log back",
            )

    def _next_block(self, log: SourceLog, session: "_Session", is_final: bool) -> SourceBlock:
        """Whole records from the offset to the next grid line, or as many as are there; what is claimed already."""
        offset = session.position
        claimed = offset.claimed_upto - offset.entries if offset.claimed_upto else None
        limit = claimed or self.chunk_size - offset.entries % self.chunk_size
        per_entry = offset.byte_offset / offset.entries if offset.entries else _FIRST_GUESS_BYTES_PER_ENTRY
        size = int(limit * per_entry * 1.1) + MAX_ENTRY_BYTES
        while True:
            content = log.read(offset.byte_offset, size)
            is_end = len(content) < size
            records = split_records(content, session.adapter.quote, limit, is_end and is_final)
            if len(records) == limit or is_end:
                break
            size *= 2
        if claimed and len(records) < limit:
            raise SourceError("the log lacks entries that were chunked", where=log.path, remedy="restore the log")
        end = int(records.ends[-1]) if len(records) else 0
        return SourceBlock(content[:end], records, offset.entries, offset.byte_offset)

    def _claim(self, offset: Offset, upto: int) -> None:
        """Decides how far the chunk goes, unless that is decided."""
        if offset.claimed_upto is None:
            self._write_offset(replace(offset, claimed_upto=upto))
        self.passed("claim")

    def _is_drained(self, log: SourceLog, session: "_Session", block: SourceBlock) -> bool:
        return not log.read(session.position.byte_offset + len(block.content), 1)

    def _finish(self, log: SourceLog, session: "_Session", is_final: bool) -> None:
        """Declares the log final where its end was reached by an earlier, ordinary tick."""
        if is_final and not session.position.is_final:
            self._write_offset(replace(session.position, is_final=True, committed_at=self.clock()))

    def _commit(self, session: "_Session", block: SourceBlock, started: float, is_final: bool) -> Tick:
        now = self.clock()
        adapted = adapt(
            session.adapter,
            session.header,
            session.position.source,
            block,
            self.make_tokeniser,
            self.day_zero,
            self.references,
        )
        chunk = Chunk(block.first_entry, block.first_entry + len(block) - 1, session.position.source)
        content = encode_chunk(adapted.rows)
        check_chunk(chunk, adapted, content)
        upto = chunk.last + 1
        self._claim(session.position, upto)
        if adapted.rejections:
            rejected = _quarantine_rows(session.position.source, adapted.rejections, now)
            delta.append_once(self._table(tables.SOURCE_QUARANTINE), rejected, APP, upto)
        self.passed("quarantine")
        path, is_adopted = self.lake.landing / chunk.name, False
        if path.exists():
            adapted, is_adopted = replace(adapted, rows=_adopt(path, adapted)), True
        else:
            write_chunk(self.lake.landing, chunk, content)
        self.passed("chunk")
        bronze = bronze_rows(adapted.rows, adapted.entries, chunk, chunk.cell(self.chunk_size), now)
        delta.append_once(self._table(tables.PAYMENTS_RAW_BRONZE), bronze, APP, upto)
        self.passed("bronze")
        held = self._held(upto)
        check_totals(chunk, *held)
        tail = (session.tail + block.content)[-FINGERPRINT_BYTES:]
        head = (session.head + block.content)[:FINGERPRINT_BYTES]
        offset = replace(
            session.position,
            head_fingerprint=fingerprint(head),
            tail_fingerprint=fingerprint(tail),
            entries=upto,
            byte_offset=block.byte_offset + len(block.content),
            is_final=is_final,
            committed_at=now,
            claimed_upto=None,
        )
        self._write_offset(offset)
        self.passed("offset")
        self._session = replace(session, position=offset, head=head, tail=tail)
        return Tick(
            chunk=chunk,
            path=path,
            rows=len(adapted.rows),
            quarantined=len(adapted.rejections),
            bronze_rows=held[0],
            quarantine_rows=held[1],
            is_adopted=is_adopted,
            offset=offset,
            amount_minor=_money(adapted.rows),
            quarantined_minor=_rejected_money(adapted.rejections),
            newest_event_at=pc.max(adapted.rows["event_timestamp"]).as_py(),
            duration_s=time.perf_counter() - started,
        )

    def _held(self, upto: int) -> list[int]:
        """How many rows bronze and the quarantine hold.

        Raises:
            Superseded: another chunker has brought them beyond this chunk.
        """
        both = (tables.PAYMENTS_RAW_BRONZE, tables.SOURCE_QUARANTINE)
        held = [self._table(schema).count() for schema in both]
        if sum(held) > upto and read_fenced(self.lake.offset_file)[1] != self._version:
            raise Superseded(errno.EEXIST, "another chunker is ahead", str(self.lake.offset_file))
        return held

    def _table(self, schema: TableSchema) -> delta.DeltaTable:
        """A table of the lake at its latest version, opened once."""
        if schema.name in self._tables:
            self._tables[schema.name].update_incremental()
        else:
            self._tables[schema.name] = delta.ensure_table(self.lake.table(schema.name), schema)
        return self._tables[schema.name]

    def _write_offset(self, offset: Offset) -> None:
        self._version = write_offset(self.lake.offset_file, offset, over=self._version)


@dataclass(frozen=True)
class _Session:
    """What a chunker knows between ticks: the header, and the position with the bytes that identify the log there."""

    header_line: bytes
    adapter: SourceAdapter
    header: list[str]
    start: Offset
    position: Offset | None = None
    head: bytes = b""
    tail: bytes = b""


def _adopt(path: Location, adapted: Adapted) -> pa.Table:
    """The rows of a chunk file that is there already."""
    rows = read_chunk(path)
    if len(rows) != len(adapted.rows):
        raise LakeMismatch(
            f"the chunk has {len(rows):,} rows where the log has {len(adapted.rows):,}",
            where=path,
            remedy="restore the log, or take a new lake",
        )
    return rows


def _quarantine_rows(source: str, rejections: Iterable[Rejection], now: datetime) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "source": source,
                "entry_number": rejection.entry_number,
                "byte_offset": rejection.byte_offset,
                "byte_length": rejection.byte_length,
                "reason_code": rejection.reason.value,
                "column": rejection.column,
                "rule": rejection.rule,
                "raw": rejection.raw,
                "amount_minor": rejection.amount_minor,
                "currency": rejection.currency,
                "quarantined_at": now,
            }
            for rejection in rejections
        ],
        schema=tables.SOURCE_QUARANTINE.arrow(),
    )


def _money(rows: pa.Table) -> dict[str, int]:
    sums = rows.group_by("currency").aggregate([("amount_minor", "sum")]).to_pylist()
    return {row["currency"]: row["amount_minor_sum"] for row in sorted(sums, key=lambda row: row["currency"])}


def _rejected_money(rejections: tuple[Rejection, ...]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for rejection in rejections:
        if rejection.amount_minor is not None and rejection.currency is not None:
            sums[rejection.currency] = sums.get(rejection.currency, 0) + rejection.amount_minor
    return dict(sorted(sums.items()))

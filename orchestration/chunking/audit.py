"""The checks of the flow from log to bronze: of one tick, before it is reported, and of the whole lake."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb

from expectations import delta
from expectations.card_scanner import scan
from expectations.catalog import Lake
from expectations.landing import Chunk, list_chunks
from expectations.offset import Offset, read_offset
from expectations.payments import PAYMENT
from expectations.places import Location
from expectations.tables import PAYMENTS_RAW_BRONZE, SOURCE_QUARANTINE
from expectations.thresholds import OFFSET_STALE_SECONDS
from orchestration.chunking.chunker import Tick
from orchestration.outcomes import CheckDeclaration, Outcome

ENTRIES_CONSERVED = CheckDeclaration(
    "landing_chunks", "entries_conserved", "Entries read = rows in chunks + rows in quarantine, without gap or overlap."
)
OFFSET_MONOTONIC = CheckDeclaration(
    "landing_chunks", "offset_monotonic", "The offset moved forward, and stands where the last chunk ends."
)
NO_CARD_NUMBERS = CheckDeclaration(
    "landing_chunks",
    "no_card_numbers",
    "No card number in chunks, tables, quarantine, checkpoints, Dagster home or logs.",
)
SOURCE_READABLE = CheckDeclaration(
    "landing_chunks", "source_readable", "The last tick could read its log.", is_blocking=False
)
OFFSET_FRESH = CheckDeclaration(
    "landing_chunks",
    "offset_fresh",
    f"The log has nothing new that has waited longer than {OFFSET_STALE_SECONDS} s.",
    is_blocking=False,
)
QUARANTINE_EXPLAINED = CheckDeclaration(
    "source_quarantine", "every_entry_explained", "Every quarantined entry has a reason, a rule and a position, once."
)
ROWS_CONSERVED = CheckDeclaration(
    "payments_raw_bronze", "rows_conserved", "Bronze holds what the chunks hold: rows, and money per currency."
)
BRONZE_SCHEMA = CheckDeclaration(
    "payments_raw_bronze", "schema_as_declared", "Columns, types and ranges of bronze are those of the contract."
)

CHECKS = (
    ENTRIES_CONSERVED,
    OFFSET_MONOTONIC,
    NO_CARD_NUMBERS,
    QUARANTINE_EXPLAINED,
    ROWS_CONSERVED,
    BRONZE_SCHEMA,
)
"""What can be checked at any time. The other two need a tick: SOURCE_READABLE and OFFSET_FRESH."""

LIVE_CHECKS = (SOURCE_READABLE, OFFSET_FRESH)

_SAMPLE_ROWS = 10_000


def check_tick(tick: Tick) -> list[Outcome]:
    """The verdicts on one tick. `gates.check_chunk` has enforced the same before anything was committed."""
    entries, offset = tick.chunk.entries, tick.offset
    return [
        ENTRIES_CONSERVED.outcome(
            entries == tick.rows + tick.quarantined,
            f"{entries:,} entries = {tick.rows:,} rows + {tick.quarantined:,} quarantined",
            entries=entries, rows=tick.rows, quarantined=tick.quarantined,
        ),
        OFFSET_MONOTONIC.outcome(
            offset.entries == tick.chunk.last + 1, f"offset at entry {offset.entries:,}", entries=offset.entries
        ),
        NO_CARD_NUMBERS.outcome(True, "the chunk and its quarantined entries were scanned before anything was written"),
        QUARANTINE_EXPLAINED.outcome(True, f"{tick.quarantined:,} quarantined entries, each with a reason"),
        ROWS_CONSERVED.outcome(
            tick.bronze_rows + tick.quarantine_rows == offset.entries,
            f"{offset.entries:,} entries = {tick.bronze_rows:,} in bronze + {tick.quarantine_rows:,} quarantined",
            bronze_rows=tick.bronze_rows,
        ),
        BRONZE_SCHEMA.outcome(True, "the chunk had the canonical schema before anything was written"),
        SOURCE_READABLE.outcome(True, "read", byte_offset=offset.byte_offset),
    ]  # fmt: skip


def check_offset_age(offset: Offset | None, has_unread: bool, now: datetime) -> Outcome:
    """Whether the chunker keeps up: nothing unread, or an offset that moved lately."""
    age = (now - offset.committed_at) if offset else timedelta(0)
    fresh = not has_unread or age <= timedelta(seconds=OFFSET_STALE_SECONDS)
    waiting = "unread entries wait" if has_unread else "nothing is unread"
    return OFFSET_FRESH.outcome(
        fresh, f"{waiting}; the offset is {age.total_seconds():.0f} s old", age_seconds=age.total_seconds()
    )


def check_lake(lake: Lake, scanned: Sequence[Location]) -> list[Outcome]:
    """The verdicts on all that is there; `scanned` are further folders in which no card number may be."""
    offset = read_offset(lake.offset_file)
    # On S3 a chunk that is being archived is in both folders for a moment.
    chunks = sorted({*list_chunks(lake.landing), *list_chunks(lake.archive)})
    with _connect(lake) as connection:
        return [
            _entries_conserved(connection, offset, chunks),
            _offset_monotonic(offset, chunks),
            _no_card_numbers(lake, scanned),
            _quarantine_explained(connection),
            _rows_conserved(connection),
            _bronze_schema(lake, connection),
        ]


def _connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    declared = (PAYMENTS_RAW_BRONZE, SOURCE_QUARANTINE)
    for schema in declared:
        delta.ensure_table(lake.table(schema.name), schema)
    connection = delta.connect({schema.name: lake.table(schema.name) for schema in declared})
    places = {chunk.name: folder for folder in (lake.landing, lake.archive) for chunk in list_chunks(folder)}
    if places:
        files = ", ".join(delta.sql_text(str(folder / name)) for name, folder in places.items())
        columns = ", ".join(f"{name}: 'VARCHAR'" for name in PAYMENT.columns)
        connection.execute(
            "CREATE VIEW chunk_rows AS SELECT currency, amount_minor "
            f"FROM read_csv([{files}], header = true, auto_detect = false, columns = {{{columns}}})"
        )
    else:
        connection.execute("CREATE VIEW chunk_rows AS SELECT '' AS currency, '0' AS amount_minor WHERE false")
    return connection


def _entries_conserved(
    connection: duckdb.DuckDBPyConnection, offset: Offset | None, chunks: Sequence[Chunk]
) -> Outcome:
    (rows,) = connection.execute("SELECT count(*) FROM chunk_rows").fetchone()
    (quarantined,) = connection.execute("SELECT count(*) FROM source_quarantine").fetchone()
    entries = offset.entries if offset else 0
    ends = [chunk.last + 1 for chunk in chunks]
    starts = [chunk.first for chunk in chunks]
    gapless = starts == [0, *ends[:-1]][: len(starts)]
    return ENTRIES_CONSERVED.outcome(
        gapless and entries == rows + quarantined,
        f"{entries:,} entries, {rows:,} rows + {quarantined:,} quarantined in {len(chunks):,} chunks"
        + ("" if gapless else ", with gaps or overlaps"),
        entries=entries, rows=rows, quarantined=quarantined, chunks=len(chunks),
    )  # fmt: skip


def _offset_monotonic(offset: Offset | None, chunks: Sequence[Chunk]) -> Outcome:
    entries = offset.entries if offset else 0
    end = chunks[-1].last + 1 if chunks else 0
    return OFFSET_MONOTONIC.outcome(
        entries == end, f"offset at entry {entries:,}, chunks end at {end:,}", offset=entries, chunks_end=end
    )


def _no_card_numbers(lake: Lake, scanned: Sequence[Location]) -> Outcome:
    report = scan([*{lake.root, lake.local}, *scanned])
    found = "; ".join(f"{finding.path}: {finding.place}" for finding in report.findings[:5])
    return NO_CARD_NUMBERS.outcome(
        not report.findings,
        f"{len(report.findings):,} card numbers in {report.files:,} files" + (f": {found}" if found else ""),
        files=report.files, megabytes=round(report.bytes / 1e6, 1), card_numbers=len(report.findings),
    )  # fmt: skip


def _quarantine_explained(connection: duckdb.DuckDBPyConnection) -> Outcome:
    total, distinct, explained = connection.execute(
        "SELECT count(*), count(DISTINCT entry_number), count(*) FILTER (WHERE reason_code <> '' AND rule <> '') "
        "FROM source_quarantine"
    ).fetchone()
    reasons = connection.execute(
        "SELECT reason_code, count(*) FROM source_quarantine GROUP BY ALL ORDER BY 2 DESC, 1"
    ).fetchall()
    return QUARANTINE_EXPLAINED.outcome(
        total == distinct == explained,
        f"{total:,} quarantined entries, {explained:,} explained",
        quarantined=total, **{f"reason {reason}": count for reason, count in reasons},
    )  # fmt: skip


def _rows_conserved(connection: duckdb.DuckDBPyConnection) -> Outcome:
    sums = "SELECT currency, count(*), sum(CAST(amount_minor AS HUGEINT)) FROM {} GROUP BY ALL ORDER BY ALL"
    chunks = connection.execute(sums.format("chunk_rows")).fetchall()
    bronze = connection.execute(sums.format("payments_raw_bronze")).fetchall()
    (rows, distinct) = connection.execute(
        "SELECT count(*), count(DISTINCT _row_number) FROM payments_raw_bronze"
    ).fetchone()
    return ROWS_CONSERVED.outcome(
        chunks == bronze and rows == distinct,
        f"{rows:,} rows in bronze, {sum(count for _, count, _ in chunks):,} in chunks; "
        f"money {'equal' if chunks == bronze else 'differs'} in {len(bronze)} currencies",
        rows=rows, **{f"{currency} minor units": int(amount) for currency, _, amount in bronze},
    )  # fmt: skip


def _bronze_schema(lake: Lake, connection: duckdb.DuckDBPyConnection) -> Outcome:
    """Types of the whole table, and pandera's checks of values on its newest rows."""
    import pandas as pd
    import pandera.errors
    import pyarrow as pa

    table = delta.open_table(lake.table("payments_raw_bronze"))
    declared = {(f.name, f.type) for f in PAYMENTS_RAW_BRONZE.arrow()}
    found = {(f.name, f.type) for f in pa.schema(table.schema().to_arrow())}
    if found != declared:
        wrong = sorted({name for name, _ in found ^ declared})
        return BRONZE_SCHEMA.outcome(False, f"columns differ: {', '.join(wrong)}")
    newest = connection.execute(
        f"SELECT * FROM payments_raw_bronze ORDER BY _row_number DESC LIMIT {_SAMPLE_ROWS}"
    ).to_arrow_table()
    frame = (
        newest.select(PAYMENTS_RAW_BRONZE.columns)
        .cast(PAYMENTS_RAW_BRONZE.arrow())
        .to_pandas(types_mapper=pd.ArrowDtype)
    )
    try:
        PAYMENTS_RAW_BRONZE.pandera().validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        cases = errors.failure_cases[["column", "check"]].drop_duplicates().head(5).to_dict("records")
        return BRONZE_SCHEMA.outcome(False, f"newest rows break the contract: {cases}")
    return BRONZE_SCHEMA.outcome(
        True, f"{len(declared)} columns as declared; the newest {len(frame):,} rows satisfy them", columns=len(declared)
    )

"""The checks of the flow from landed chunks to detection files."""

import csv
import io

import duckdb

from expectations import delta
from expectations.catalog import Lake
from expectations.clock import Clock
from expectations.locks import detector_alone
from expectations.places import Location, modified_at
from expectations.tables import DETECTION_FILES, DETECTIONS, PATTERN_STATE, PATTERN_STATUS, PAYMENTS_RAW_BRONZE
from expectations.thresholds import DETECTION_LAG_SECONDS, DETECTIONS_PER_FILE
from orchestration.outcomes import CheckDeclaration, Outcome
from spark_jobs.pattern_detector.cells import waiting_cells
from spark_jobs.pattern_detector.detector import MicroBatch
from spark_jobs.pattern_detector.state import committed_cells

STATE_CONSERVED = CheckDeclaration(
    "pattern_state",
    "rows_conserved",
    "The pairs' totals add up to the rows and weights of bronze in the evaluated cells.",
)
STATUS_CONSISTENT = CheckDeclaration(
    "pattern_status", "agrees_with_detections", "A pattern has a status exactly where it was raised."
)
DETECTIONS_UNIQUE = CheckDeclaration(
    "detections", "raised_once", "No (pattern, customer, merchant) was raised twice; the sequence has no gap."
)
DETECTION_LAG = CheckDeclaration(
    "detections",
    "lag",
    f"A complete grid cell is evaluated within {DETECTION_LAG_SECONDS} s of landing.",
    is_blocking=False,
)
FILES_EXACT = CheckDeclaration(
    "detection_files",
    "files_of_exactly_fifty",
    f"Every file but a drained one has {DETECTIONS_PER_FILE} records, and files + waiting = detections.",
)

CHECKS = (STATE_CONSERVED, STATUS_CONSISTENT, DETECTIONS_UNIQUE, DETECTION_LAG, FILES_EXACT)

_TABLES = (PATTERN_STATE, PATTERN_STATUS, DETECTIONS, DETECTION_FILES, PAYMENTS_RAW_BRONZE)


def check_micro_batch(lake: Lake, batch: MicroBatch) -> list[Outcome]:
    """The verdicts on one micro-batch of the stream, and on the small tables as they are after it.

    The stream goes on meanwhile, so nothing is said of later cells, of which the tables may hold a part already.
    """
    small, cells = (PATTERN_STATUS, DETECTIONS, DETECTION_FILES, PAYMENTS_RAW_BRONZE), batch.last_cell + 1
    for schema in small:
        delta.ensure_table(lake.table(schema.name), schema)
    with delta.connect({schema.name: lake.table(schema.name) for schema in small}) as connection:
        (landed,) = connection.execute(
            "SELECT count(*) FROM payments_raw_bronze WHERE _chunk BETWEEN ? AND ?", [batch.first_cell, batch.last_cell]
        ).fetchone()
        return [
            STATE_CONSERVED.outcome(
                batch.rows == landed,
                f"{batch.rows:,} rows of cells {batch.first_cell} to {batch.last_cell} folded in, {landed:,} in bronze",
                rows_in_state=batch.rows, rows_in_bronze=landed,
            ),
            _status_consistent(connection, cells),
            _detections_unique(connection),
            DETECTION_LAG.outcome(
                batch.lag_s <= DETECTION_LAG_SECONDS, f"{batch.lag_s:.2f} s after landing", lag_seconds=batch.lag_s
            ),
            _files_exact(lake, connection, cells),
        ]  # fmt: skip


def check_lake(lake: Lake, clock: Clock) -> list[Outcome]:
    """The verdicts on all that is there, at a moment when no micro-batch is under way."""
    with detector_alone(lake):
        for schema in _TABLES:
            if schema is not PATTERN_STATE:
                delta.ensure_table(lake.table(schema.name), schema)
        there = {s.name: lake.table(s.name) for s in _TABLES if delta.open_table(lake.table(s.name))}
        cells = committed_cells(lake.table("pattern_state"))
        with delta.connect(there) as connection:
            return [
                _state_conserved(connection, cells),
                _status_consistent(connection, cells),
                _detections_unique(connection),
                _lag(lake, clock, cells),
                _files_exact(lake, connection, cells),
            ]


def _state_conserved(connection: duckdb.DuckDBPyConnection, cells: int) -> Outcome:
    held = (0, 0)
    if cells:
        held = connection.execute(
            "SELECT coalesce(sum(transactions), 0), coalesce(sum(weight_sum), 0) FROM ("
            "SELECT * FROM pattern_state WHERE customer_id <> '' "
            "QUALIFY row_number() OVER (PARTITION BY merchant_id, customer_id ORDER BY cell DESC) = 1)"
        ).fetchone()
    landed = connection.execute(
        "SELECT count(*), coalesce(sum(weight), 0) FROM payments_raw_bronze WHERE _chunk < ?", [cells]
    ).fetchone()
    return STATE_CONSERVED.outcome(
        held == landed,
        f"{held[0]:,} rows in the state of {cells:,} cells, {landed[0]:,} in bronze",
        cells=cells, rows_in_state=int(held[0]), rows_in_bronze=int(landed[0]),
    )  # fmt: skip


def _status_consistent(connection: duckdb.DuckDBPyConnection, cells: int) -> Outcome:
    """Of the cells before `cells`: a later micro-batch stores its detections before their status."""
    (astray,) = connection.execute(
        "SELECT count(*) FROM pattern_status s FULL JOIN (FROM detections WHERE cell < $cells) d "
        "USING (pattern_id, customer_id, merchant_id) "
        "WHERE s.cell IS NULL OR (d.cell IS NULL AND s.cell < $cells) OR s.cell < d.cell",
        {"cells": cells},
    ).fetchone()
    (holding,) = connection.execute("SELECT count(*) FROM pattern_status WHERE holds").fetchone()
    return STATUS_CONSISTENT.outcome(
        astray == 0,
        f"{holding:,} patterns hold now; {astray:,} disagree with the outbox",
        holding=holding,
        astray=astray,
    )


def _detections_unique(connection: duckdb.DuckDBPyConnection) -> Outcome:
    total, distinct, last = connection.execute(
        "SELECT count(*), count(DISTINCT (pattern_id, customer_id, merchant_id)), coalesce(max(sequence), -1) "
        "FROM detections"
    ).fetchone()
    by_pattern = connection.execute("SELECT action_type, count(*) FROM detections GROUP BY ALL ORDER BY 1").fetchall()
    return DETECTIONS_UNIQUE.outcome(
        total == distinct == last + 1, f"{total:,} detections, {distinct:,} distinct", **dict(by_pattern)
    )


def _lag(lake: Lake, clock: Clock, cells: int) -> Outcome:
    waiting = waiting_cells(lake, cells)
    lag = 0.0
    if waiting:
        lag = clock().timestamp() - modified_at(lake.landing / waiting[0][-1].name).timestamp()
    return DETECTION_LAG.outcome(
        lag <= DETECTION_LAG_SECONDS,
        f"{len(waiting):,} complete cells wait, the oldest for {lag:.1f} s",
        waiting_cells=len(waiting), lag_seconds=lag,
    )  # fmt: skip


def _files_exact(lake: Lake, connection: duckdb.DuckDBPyConnection, cells: int) -> Outcome:
    """What is due of the cells before `cells` must be in files; of later ones some may be, too."""
    ledger = connection.execute(
        "SELECT name, last_sequence - first_sequence + 1, is_partial FROM detection_files ORDER BY file_sequence"
    ).fetchall()
    detections, of_these = connection.execute(
        "SELECT count(*), count(*) FILTER (cell < ?) FROM detections", [cells]
    ).fetchone()
    wrong = [
        name
        for name, records, is_partial in ledger
        if ((lake.detection_files / name).exists() and _records(lake.detection_files / name) != records)
        or (not is_partial and records != DETECTIONS_PER_FILE)
    ]  # fmt: skip
    written = sum(records for _, records, _ in ledger)
    waiting = detections - written
    return FILES_EXACT.outcome(
        not wrong and waiting >= 0 and of_these - written < DETECTIONS_PER_FILE,
        f"{len(ledger):,} files with {written:,} detections, {waiting:,} waiting"
        + (f"; wrong: {', '.join(wrong[:3])}" if wrong else ""),
        files=len(ledger), written=written, waiting=waiting,
    )  # fmt: skip


def _records(path: Location) -> int:
    return sum(1 for _ in csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))) - 1

"""Verifying a year of audited days, each with ten thousand rows."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from statistics import median

import pyarrow as pa

from benchmarks.results import Judged, Limit, Result
from benchmarks.scale import Scale
from benchmarks.scratch import scratch_folder
from benchmarks.timing import timed
from expectations.catalog import Lake
from expectations.finance import (
    AUDITED_DAILY_BREAKS,
    AUDITED_DAILY_REVENUE,
    AUDITED_DAILY_SETTLEMENT,
    AUDITED_TRIAL_BALANCE,
    OPEN_ITEMS,
)
from expectations.schema import DataType, TableSchema
from orchestration.finance.audited_tables import totals
from orchestration.finance.chain import Code, Draft, append
from orchestration.finance.files import write_table
from orchestration.finance.verify import verify
from orchestration.mart import files_folder

ROWS_PER_DAY = 10_000
_ROWS = {
    AUDITED_DAILY_SETTLEMENT: ROWS_PER_DAY,
    AUDITED_DAILY_BREAKS: 0,
    AUDITED_DAILY_REVENUE: 200,
    AUDITED_TRIAL_BALANCE: 100,
    OPEN_ITEMS: 0,
}
"""Rows per day: one large table, and small ones, as a day has them."""
_COUNTED = (AUDITED_DAILY_SETTLEMENT, AUDITED_DAILY_BREAKS)
_FIRST = date(2025, 10, 1)
_REPETITIONS = 5


def run(scale: Scale) -> list[Result]:
    """The baseline hashes the files' bytes and nothing more: it cannot tell which row was changed."""
    with scratch_folder("verify") as folder:
        lake = Lake(folder / "lake")
        _publish(lake, scale.audited_days)
        seconds, found = [], None
        for _ in range(_REPETITIONS):
            taken, found = timed(lambda: verify(lake))
            seconds.append(taken)
        if found.findings or found.rows != scale.audited_days * sum(_ROWS.values()):
            raise ValueError(f"the chain does not verify: {found.findings[:1]}, {found.rows} rows")
        baseline = median(timed(lambda: _hash_files(lake))[0] for _ in range(_REPETITIONS))
    what = f"verify a chain of {scale.audited_days} days with {ROWS_PER_DAY:,} output rows each"
    limit = Limit(Judged.OURS, 10, 2)
    return [Result(what, "s", round(median(seconds), 2), round(baseline, 3), "SHA-256 of the files' bytes", limit)]


def _publish(lake: Lake, days: int) -> None:
    head = opening = ""
    for at in range(days + 1):
        day = _FIRST + timedelta(days=at)
        outputs = {schema.name: write_table(lake, _table(schema, day), schema) for schema in _ROWS} if at else {}
        link = append(
            lake,
            Draft(
                kind="day" if at else "opening",
                business_date=day,
                version=1,
                published_at=datetime(2026, 11, 1, tzinfo=UTC),
                published_by="benchmark",
                reason=None,
                opening=opening,
                inputs={},
                actions=[],
                configuration={},
                code=Code(version="0", hash=""),
                checks=[],
                approvals=[],
                totals=totals(*(_table(schema, day) for schema in _ROWS if schema in _COUNTED)) if at else {},
                outputs=outputs,
            ),
            head,
        )
        head = opening = link.hash


def _table(schema: TableSchema, day: date) -> pa.Table:
    """Rows with keys that ascend and figures that differ from day to day."""
    rows = range(_ROWS[schema])
    columns: dict[str, list] = {}
    for field in schema.fields:
        if field.type is DataType.DATE:
            columns[field.name] = [day] * len(rows)
        elif field.type is DataType.INT64:
            factor = 1 + len(field.name)
            columns[field.name] = [(number * 7919 * factor + day.toordinal()) % 10**7 for number in rows]
        elif field.name in ("merchant_id", "account_id", "merchant_segment"):
            columns[field.name] = [f"M{number:05d}" for number in rows]
        else:
            columns[field.name] = ["EUR"] * len(rows)
    return pa.table(columns).cast(schema.arrow())


def _hash_files(lake: Lake) -> int:
    return sum(
        len(hashlib.sha256(path.read_bytes()).digest()) for path in files_folder(lake, "finance").glob("*.parquet")
    )

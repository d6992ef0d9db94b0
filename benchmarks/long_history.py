"""Bronze tables of millions of payments over months: a company's five weeks, told again and again."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.scratch import FOLDER, company_log, lake_settings
from expectations import delta
from expectations.catalog import Lake
from expectations.tables import PAYMENTS_RAW_BRONZE
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.follow import drain

PERIOD_ROWS = 1_000_000
_PERIOD = timedelta(days=35)
_IDENTIFIERS = ("transaction_id", "original_transaction_id", "retry_of")


def history(rows: int) -> Lake:
    """A lake whose bronze holds so many rows, in the order of time; made once and kept. Never write to it: copy it."""
    lake = Lake(FOLDER / f"history_{rows}")
    if not (lake.root / "complete").exists():
        print(f"  making a bronze of {rows:,} rows once: {lake.root}", flush=True)
        shutil.rmtree(lake.root, ignore_errors=True)
        period, periods = _one_period(min(rows, PERIOD_ROWS)), -(-rows // PERIOD_ROWS)
        table = delta.ensure_table(lake.table(PAYMENTS_RAW_BRONZE.name), PAYMENTS_RAW_BRONZE)
        for number in range(periods):
            again = shifted(period, number * len(period), (number + 1 - periods) * _PERIOD)
            delta.append_once(table, again, "chunker", (number + 1) * len(period))
        (lake.root / "complete").write_text(json.dumps({"rows": rows}))
    return lake


def copied(lake: Lake, folder: Path) -> Lake:
    """A lake of its own with the same bronze."""
    name = PAYMENTS_RAW_BRONZE.name
    shutil.copytree(lake.table(name), Lake(folder).table(name))
    return Lake(folder)


def next_rows(lake: Lake, first: int, count: int, later: timedelta) -> pa.Table:
    """So many payments that follow entry `first - 1`: those of the last period's end, told again later."""
    with delta.connect({"bronze": lake.table(PAYMENTS_RAW_BRONZE.name)}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            "SELECT * FROM bronze WHERE _row_number >= (SELECT max(_row_number) FROM bronze) - ? "
            "ORDER BY _row_number LIMIT ?",
            [count - 1, count],
        ).to_arrow_table()
    rows = found.select(PAYMENTS_RAW_BRONZE.columns).cast(PAYMENTS_RAW_BRONZE.arrow())
    numbers = pa.array(range(first, first + count), pa.int64())
    return _moved(rows, numbers, f"N{first}", later)


def shifted(period: pa.Table, rows: int, time: timedelta) -> pa.Table:
    """The period's payments, so many rows and so much time later."""
    return _moved(period, pc.add(period["_row_number"], rows), f"P{rows}", time) if rows or time else period


def _moved(rows: pa.Table, numbers: pa.Array, suffix: str, later: timedelta) -> pa.Table:
    columns = {name: rows[name] for name in rows.column_names}
    columns["_row_number"] = numbers
    for name in ("event_timestamp", "_ingested_at"):
        columns[name] = pc.add(rows[name], pa.scalar(later, pa.duration("us")))
    for name in _IDENTIFIERS:
        columns[name] = pc.binary_join_element_wise(rows[name], suffix, "-")
    return pa.table(columns, schema=PAYMENTS_RAW_BRONZE.arrow())


def _one_period(rows: int) -> pa.Table:
    """The simulated company's log, chunked."""
    folder = FOLDER / f"period_{rows}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        chunker = make_chunker(lake_settings(company_log(rows), folder))
        with chunker.alone():
            for _ in drain(chunker, is_final=True):
                pass
        (folder / "complete").touch()
    return delta.read_rows(Lake(folder).table(PAYMENTS_RAW_BRONZE.name), PAYMENTS_RAW_BRONZE, ["_row_number"])

"""Reconciling a million payments with a million journal entries, against one full outer join on the id."""

import contextlib
import resource
from datetime import date
from statistics import median

import duckdb
import pyarrow as pa

from benchmarks.results import Judged, Limit, Result
from benchmarks.scale import Scale
from benchmarks.timing import timed
from expectations.finance import LEDGER_BATCHES, LEDGER_ENTRIES, OPEN_ITEMS, PLATFORM_PAYMENTS
from expectations.thresholds import FINANCE
from orchestration.finance.reconcile import DayInputs, reconcile

DAY = date(2026, 10, 12)
_REPETITIONS = 5

# One payment in a hundred is booked otherwise: not at all, without a reference, twice, or with another amount or fee.
_PAYMENTS = f"""
SELECT 'T' || lpad(i::VARCHAR, 9, '0') AS transaction_id, DATE '{DAY}' AS business_date, 'sale' AS kind,
  'M' || (i % 5000) AS merchant_id, 'trade ' || (i % 7) AS merchant_segment, 'DE' AS merchant_country,
  ['nordpay', 'acquira', 'vantora'][i % 3 + 1] AS processor, 'SB-' || (i % 3) || '-20261012' AS settlement_batch_id,
  lpad((hash(i) % 10000)::VARCHAR, 4, '0') AS card_last4, ['EUR', 'SEK', 'GBP'][i % 3 + 1] AS currency,
  (hash(i) % 100000 + 1)::BIGINT AS amount_minor, (hash(i) % 300)::BIGINT AS fee_minor
FROM range({{rows}}) AS t(i)
"""
_ENTRIES = """
WITH lots AS (SELECT *, hash(transaction_id || 'lot') % 1000 AS lot FROM payments)
SELECT row_number() OVER (ORDER BY hash(transaction_id), copy) AS entry_id, business_date AS booking_date,
  business_date AS value_date, kind, CASE WHEN lot IN (0, 1) THEN NULL ELSE transaction_id END AS reference,
  settlement_batch_id AS batch_id, merchant_id, processor, card_last4, currency,
  amount_minor + CASE WHEN lot IN (2, 3) THEN 1 ELSE 0 END AS amount_minor,
  fee_minor + CASE WHEN lot = 4 THEN 1 ELSE 0 END AS fee_minor
FROM lots, (VALUES (1), (2)) AS copies(copy)
WHERE lot NOT IN (5, 6, 7, 8) AND (copy = 1 OR lot = 9)
"""
_JOIN = "SELECT * FROM payments FULL JOIN entries ON entries.reference = payments.transaction_id"


def run(scale: Scale) -> list[Result]:
    """Medians of several runs; the peak of memory is that of the whole process, inputs and the join's included."""
    day = _day(scale.ledger_rows)
    reconciled_s, joined_s, found = [], [], None
    before_mb = _peak_mb()
    for _ in range(_REPETITIONS):
        seconds, found = timed(lambda: reconcile(day, FINANCE))
        reconciled_s.append(seconds)
        peak_mb = _peak_mb()
    for _ in range(_REPETITIONS):
        joined_s.append(timed(lambda: _join(day))[0])
    ids_only_s = timed(lambda: _join(day, "transaction_id, entry_id"))[0]
    ours, baseline = round(median(reconciled_s), 2), round(median(joined_s), 2)
    what = f"{scale.ledger_rows:,} payments with {day.entries.num_rows:,} journal entries, 1 % otherwise"
    details = {"breaks": found.breaks.num_rows, "a join of the ids alone, s": round(ids_only_s, 2)}
    return [
        Result(f"reconcile {what}", "s", ours, baseline, "one DuckDB full outer join", Limit(Judged.OURS, 20, 5)),
        Result("the same, of the join's time", "s", ours, baseline, "the join", Limit(Judged.COST, 8, 3), details),
        Result(
            "peak memory of its process",
            "MB",
            peak_mb,
            before_mb,
            "with the inputs alone",
            Limit(Judged.OURS, 2000, 1000),
        ),
    ]


def _day(rows: int) -> DayInputs:
    with contextlib.closing(duckdb.connect()) as connection:
        payments = connection.execute(_PAYMENTS.format(rows=rows)).to_arrow_table().cast(PLATFORM_PAYMENTS.arrow())
        connection.register("payments", payments)
        entries = connection.execute(_ENTRIES).to_arrow_table().cast(LEDGER_ENTRIES.arrow())
    empty = {schema.name: schema.arrow().empty_table() for schema in (LEDGER_BATCHES, OPEN_ITEMS)}
    return DayInputs(DAY, payments, entries, empty[LEDGER_BATCHES.name], empty[OPEN_ITEMS.name])


def _join(day: DayInputs, columns: str = "*") -> pa.Table:
    with contextlib.closing(duckdb.connect()) as connection:
        connection.register("payments", day.payments)
        connection.register("entries", day.entries)
        return connection.execute(_JOIN.replace("*", columns)).to_arrow_table()


def _peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

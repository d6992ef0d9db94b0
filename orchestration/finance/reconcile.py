"""Reconciliation of one business day: which payments and journal entries belong together, and what is left.

Rows are brought together in groups, by passes in a fixed order: the exact id that an entry refers to; a composite key
within a date window, for entries whose reference is missing or unknown; the merchant's settlement batch, for entries
that book many payments at once. Never the amount alone. A group matches if both sides' amounts and fees are equal;
otherwise it is a break, whose type follows from what is in the group. Rows of an open break are carried over, and take
part in the next day's passes as if they were of that day: so a late posting, or a correction, closes it.

All is integers, and every choice between equals follows the order of identities: the result depends neither on the
order of the rows nor on the number of threads.
"""

import contextlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import pyarrow as pa

from expectations.card_numbers import fingerprint
from expectations.core_banking import FX_RATE_SCALE
from expectations.finance import AUDITED_DAILY_BREAKS, OPEN_ITEMS, PAYMENT_KINDS, RECONCILED_ROWS
from expectations.schema import TableSchema
from expectations.thresholds import FinancePolicy

_BREAK_ID_LETTERS = 16


@dataclass(frozen=True)
class DayInputs:
    """What a business day is reconciled from.

    Attributes:
        business_date: the day.
        payments: the platform's, as `PLATFORM_PAYMENTS`.
        entries, batches: the bank's, as `LEDGER_ENTRIES` and `LEDGER_BATCHES`.
        opening: what the day before left open, as `OPEN_ITEMS`.
        written_off: breaks that a controller has resolved: what is still open of them closes.
    """

    business_date: date
    payments: pa.Table
    entries: pa.Table
    batches: pa.Table
    opening: pa.Table
    written_off: Collection[str] = ()


@dataclass(frozen=True)
class Reconciliation:
    """Where everything ended.

    Attributes:
        rows: every row of both sides, carried ones included, as `RECONCILED_ROWS`.
        breaks: those open, and those that closed, as `AUDITED_DAILY_BREAKS`.
        open_items: what the next day starts from, as `OPEN_ITEMS`.
    """

    rows: pa.Table
    breaks: pa.Table
    open_items: pa.Table


def reconcile(day: DayInputs, policy: FinancePolicy, threads: int | None = None) -> Reconciliation:
    """Reconciles a business day.

    Args:
        day: both sides' rows.
        policy: the date window of the composite key, and what counts as rounding.
        threads: of DuckDB; all cores if not given.
    """
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET preserve_insertion_order = false")
        if threads:
            connection.execute(f"SET threads = {threads}")
        for name in ("payments", "entries", "batches", "opening"):
            connection.register(name, getattr(day, name))
        connection.execute(_PAIRS)
        connection.execute(_ITEMS.format(day=day.business_date, scale=FX_RATE_SCALE))
        _match_composite_keys(connection, policy.composite_window_days)
        connection.execute(_MATCH_BATCHES)
        connection.execute(_GROUPS.format(rounding=policy.fx_rounding_minor))
        _name_breaks(connection, day)
        found = {
            schema: connection.execute(query.format(day=day.business_date)).to_arrow_table()
            for schema, query in ((RECONCILED_ROWS, _ROWS), (AUDITED_DAILY_BREAKS, _BREAKS), (OPEN_ITEMS, _OPEN_ITEMS))
        }
    return Reconciliation(*(conformed(table, schema) for schema, table in found.items()))


def conformed(table: pa.Table, schema: TableSchema) -> pa.Table:
    """The table with exactly the schema's columns and types, in its order."""
    return table.select(schema.columns).cast(schema.arrow())


# Nearly all rows are pairs: one entry that names the payment, of the same kind, currency, amount and fee. They need
# nothing of what follows, so they are set aside first. A payment of which something was carried over is not.
_PAIRS = """
CREATE TEMP TABLE pairs AS
WITH once AS (
  SELECT reference, any_value(entry_id) AS entry_id, any_value(kind) AS kind, any_value(currency) AS currency,
         any_value(amount_minor) AS amount_minor, any_value(fee_minor) AS fee_minor
  FROM entries WHERE reference IS NOT NULL GROUP BY reference HAVING count(*) = 1
)
SELECT payments.transaction_id, once.entry_id
FROM payments JOIN once
  ON once.reference = payments.transaction_id AND once.kind = payments.kind AND once.currency = payments.currency
  AND once.amount_minor = payments.amount_minor AND once.fee_minor = payments.fee_minor
WHERE payments.transaction_id NOT IN (SELECT group_key FROM opening)
"""

# All that is not a pair, carried rows included. A row's group is what it is about: the payment itself, the reference,
# or, where there is none, the entry.
_ITEMS = """
CREATE TEMP TABLE items AS
SELECT 'platform' AS side, transaction_id AS item_id, business_date AS item_date, business_date AS value_date, kind,
       NULL::VARCHAR AS reference, settlement_batch_id, merchant_id, merchant_segment, merchant_country, processor,
       card_last4, currency, amount_minor, fee_minor,
       NULL::VARCHAR AS break_id, NULL::VARCHAR AS break_type, NULL::DATE AS opened_on, transaction_id AS group_key
FROM payments ANTI JOIN pairs USING (transaction_id)
UNION ALL
SELECT 'bank', entry_id::VARCHAR, DATE '{day}', value_date, kind, reference, batch_id, merchant_id, NULL, NULL,
       processor, card_last4, currency, amount_minor, fee_minor, NULL, NULL, NULL,
       CASE WHEN kind = 'settlement' THEN 'batch:' || coalesce(batch_id, '') || ':' || merchant_id
            ELSE coalesce(reference, 'entry:' || entry_id) END
FROM (FROM entries ANTI JOIN pairs USING (entry_id)) WHERE kind <> 'payout'
UNION ALL
-- A payout is net times rate, rounded half to even. What it is off by is a row of the bank's.
SELECT 'bank', name, DATE '{day}', value_date, 'payout', name, batch_id, '', NULL, NULL, processor, NULL,
       payout_currency, (payout_minor - expected)::BIGINT, 0, NULL, NULL, NULL, name
FROM (
  SELECT *, 'payout:' || batch_id || ':' || currency AS name,
         floor_ + (CASE WHEN rest * 2 > {scale} OR (rest * 2 = {scale} AND floor_ % 2 <> 0) THEN 1 ELSE 0 END)
           AS expected
  FROM (
    SELECT *, (product - rest) // {scale} AS floor_
    FROM (
      SELECT *, net_minor::HUGEINT * fx_rate_e8 AS product,
             ((net_minor::HUGEINT * fx_rate_e8) % {scale} + {scale}) % {scale} AS rest
      FROM batches
    )
  )
)
WHERE payout_minor <> expected
UNION ALL
SELECT side, item_id, item_date, value_date, kind, reference, settlement_batch_id, merchant_id, merchant_segment,
       merchant_country, processor, card_last4, currency, amount_minor, fee_minor, break_id, break_type, opened_on,
       group_key
FROM opening
"""

# Rows that are alone in their group: what the later passes look at.
_ALONE = """
SELECT {columns} FROM items
WHERE side = '{side}' AND kind IN {kinds}
  AND (group_key, currency) IN (SELECT (group_key, currency) FROM items GROUP BY ALL HAVING count(*) = 1)
"""
_COMPOSITE_KEY = "merchant_id, processor, kind, currency, amount_minor, card_last4"


def _match_composite_keys(connection: duckdb.DuckDBPyConnection, window_days: int) -> None:
    """Moves an entry that no payment answers to the group of the payment that it must be about."""
    entries = _alone(connection, "bank", "value_date, item_id")
    payments = _alone(connection, "platform", "item_date, item_id")
    found = [
        (entry, currency, payment)
        for key, lone_entries in sorted(entries.items(), key=repr)
        for entry, payment in _pair_within_window(lone_entries, payments.get(key, []), timedelta(window_days))
        for currency in [key[3]]
    ]
    moves = pa.table(
        {name: pa.array([row[at] for row in found], pa.string()) for at, name in enumerate(("entry", "ccy", "target"))}
    )
    connection.register("moves", moves)
    connection.execute(
        "UPDATE items SET group_key = moves.target FROM moves "
        "WHERE items.side = 'bank' AND items.item_id = moves.entry AND items.currency = moves.ccy"
    )
    connection.unregister("moves")


def _alone(connection: duckdb.DuckDBPyConnection, side: str, order: str) -> dict[tuple, list[tuple[date, str]]]:
    """Per composite key, the date and the identity of the rows that nothing answers, in order."""
    query = _ALONE.format(columns=f"{_COMPOSITE_KEY}, {order}", side=side, kinds=PAYMENT_KINDS)
    found: dict[tuple, list[tuple[date, str]]] = defaultdict(list)
    for *key, day, identity in connection.execute(f"{query} ORDER BY {order}").fetchall():
        found[tuple(key)].append((day, identity))
    return found


def _pair_within_window(
    entries: Sequence[tuple[date, str]], payments: Sequence[tuple[date, str]], window: timedelta
) -> list[tuple[str, str]]:
    """Pairs of an entry and a payment, the earliest with the earliest that is near enough. Both are in order."""
    pairs, at = [], 0
    for day, entry in entries:
        while at < len(payments) and payments[at][0] < day - window:
            at += 1
        if at < len(payments) and payments[at][0] <= day + window:
            pairs.append((entry, payments[at][1]))
            at += 1
    return pairs


# An entry of a settlement books what its merchant's batch holds and no other entry has booked.
_MATCH_BATCHES = f"""
UPDATE items SET group_key = target
FROM (
  SELECT payment.item_id AS moved, payment.currency AS ccy, booked.group_key AS target
  FROM ({_ALONE.format(columns="*", side="platform", kinds=PAYMENT_KINDS)}) AS payment
  JOIN (SELECT DISTINCT group_key, settlement_batch_id, merchant_id, currency FROM items WHERE kind = 'settlement')
    AS booked USING (settlement_batch_id, merchant_id, currency)
)
WHERE items.side = 'platform' AND items.item_id = moved AND items.currency = ccy
"""

# What is in a group decides what it is. The first payment's merchant, or the first entry's, is the group's.
_GROUPS = """
CREATE TEMP TABLE groups AS
SELECT *,
  CASE
    WHEN amount_minor = 0 AND fee_minor = 0 THEN NULL
    WHEN group_key LIKE 'payout:%' AND abs(amount_minor) <= {rounding} THEN 'fx_rounding'
    WHEN group_key LIKE 'payout:%' THEN 'payout_mismatch'
    WHEN entries = 0 THEN 'missing_at_bank'
    WHEN payments = 0 THEN 'missing_at_platform'
    WHEN group_key LIKE 'batch:%' THEN 'batch_mismatch'
    WHEN is_reversed AND bank_amount_minor = 0 THEN 'reversed_at_bank'
    WHEN entries > 1 AND is_repeated THEN 'duplicate_posting'
    WHEN amount_minor <> 0 THEN 'amount_mismatch'
    ELSE 'fee_mismatch'
  END AS break_type,
  CASE
    WHEN payments + entries = 1 THEN NULL
    WHEN group_key LIKE 'batch:%' THEN 'settlement_batch'
    WHEN payments > 0 AND NOT is_referred THEN 'composite_key'
    ELSE 'exact_id'
  END AS pass
FROM (
  SELECT group_key, currency,
    count(*) FILTER (side = 'platform') AS payments,
    count(*) FILTER (side = 'bank') AS entries,
    sum(CASE side WHEN 'platform' THEN amount_minor ELSE -amount_minor END)::BIGINT AS amount_minor,
    sum(CASE side WHEN 'platform' THEN fee_minor ELSE -fee_minor END)::BIGINT AS fee_minor,
    coalesce(sum(amount_minor) FILTER (side = 'bank'), 0)::BIGINT AS bank_amount_minor,
    coalesce(bool_or(kind = 'reversal') FILTER (side = 'bank'), false)
      AND NOT coalesce(bool_or(kind = 'reversal') FILTER (side = 'platform'), false) AS is_reversed,
    -- Every entry says what the one payment says.
    count(DISTINCT (amount_minor, fee_minor)) = 1 AS is_repeated,
    coalesce(bool_or(reference = group_key), false) AS is_referred,
    coalesce(arg_min(merchant_id, item_id) FILTER (side = 'platform'), arg_min(merchant_id, item_id)) AS merchant_id,
    coalesce(arg_min(processor, item_id) FILTER (side = 'platform'), arg_min(processor, item_id)) AS processor,
    min(struct_pack(opened_on, break_id)) FILTER (break_id IS NOT NULL) AS carried
  FROM items GROUP BY group_key, currency
)
"""


def _name_breaks(connection: duckdb.DuckDBPyConnection, day: DayInputs) -> None:
    """A break keeps the identity under which it opened; a new one gets its own."""
    groups = connection.execute(
        "SELECT group_key, currency, carried.opened_on, carried.break_id FROM groups WHERE break_type IS NOT NULL"
    ).fetchall()
    rows = []
    for group_key, currency, opened_on, carried in groups:
        break_id = carried or break_identity(group_key, currency, day.business_date)
        rows.append((group_key, currency, opened_on or day.business_date, break_id, break_id in day.written_off))
    types = (pa.string(), pa.string(), pa.date32(), pa.string(), pa.bool_())
    names = ("group_key", "currency", "opened_on", "break_id", "is_written_off")
    columns = {
        name: pa.array([row[at] for row in rows], kind)
        for at, (name, kind) in enumerate(zip(names, types, strict=True))
    }
    connection.register("named", pa.table(columns))


def break_identity(group_key: str, currency: str, opened_on: date) -> str:
    """Names a break by what it is about and when it opened."""
    return fingerprint(f"{group_key}\t{currency}\t{opened_on.isoformat()}".encode())[:_BREAK_ID_LETTERS]


_ROWS = """
SELECT 'platform' AS side, transaction_id AS item_id, business_date AS item_date, kind, merchant_id, processor,
       currency, amount_minor, fee_minor, 'exact_id' AS pass, transaction_id AS group_key, NULL::VARCHAR AS break_id
FROM payments SEMI JOIN pairs USING (transaction_id)
UNION ALL
SELECT 'bank', entry_id::VARCHAR, DATE '{day}', kind, payments.merchant_id, payments.processor, payments.currency,
       payments.amount_minor, payments.fee_minor, 'exact_id', transaction_id, NULL
FROM pairs JOIN payments USING (transaction_id)
UNION ALL
SELECT side, item_id, item_date, kind, groups.merchant_id, groups.processor, currency, items.amount_minor,
       items.fee_minor, pass, group_key, named.break_id
FROM items JOIN groups USING (group_key, currency) LEFT JOIN named USING (group_key, currency)
"""

# An open break is its group; a closed one is what was carried over of it. Two breaks whose rows came together go on as
# the older one, and the other closes.
_BREAKS = """
WITH carried AS (
  SELECT break_id, any_value(currency) AS currency, any_value(opened_on) AS opened_on,
         any_value(break_type) AS break_type, any_value(opening.group_key) AS group_key,
         sum(CASE side WHEN 'platform' THEN amount_minor ELSE -amount_minor END)::BIGINT AS amount_minor,
         sum(CASE side WHEN 'platform' THEN fee_minor ELSE -fee_minor END)::BIGINT AS fee_minor,
         count(*) FILTER (side = 'platform') AS payments, count(*) FILTER (side = 'bank') AS entries,
         min(struct_pack(side, item_id)) AS first_row
  FROM opening GROUP BY break_id
),
-- The group into which the rows of a closed break came.
closed AS (
  SELECT carried.*, groups.merchant_id, groups.processor, groups.payments > carried.payments AS has_new_payments,
         groups.entries > carried.entries AS has_new_entries
  FROM carried
  ANTI JOIN named ON named.break_id = carried.break_id
  JOIN items ON items.side = carried.first_row.side AND items.item_id = carried.first_row.item_id
    AND items.currency = carried.currency
  JOIN groups ON groups.group_key = items.group_key AND groups.currency = items.currency
)
SELECT DATE '{day}' AS business_date, break_id, groups.break_type,
       CASE WHEN is_written_off THEN 'closed' ELSE 'open' END AS status, group_key, merchant_id, processor, currency,
       payments, entries, amount_minor, fee_minor, amount_minor - fee_minor AS net_minor, opened_on,
       date_diff('day', opened_on, DATE '{day}') AS age_days,
       CASE WHEN is_written_off THEN 'written_off' END AS resolution
FROM groups JOIN named USING (group_key, currency)
UNION ALL
SELECT DATE '{day}', break_id, break_type, 'closed', group_key, merchant_id, processor, currency, payments, entries,
       amount_minor, fee_minor, amount_minor - fee_minor, opened_on, date_diff('day', opened_on, DATE '{day}'),
       CASE WHEN break_type = 'missing_at_bank' AND has_new_entries THEN 'late_posting'
            WHEN break_type = 'missing_at_platform' AND has_new_payments THEN 'late_payment'
            ELSE 'corrected' END
FROM closed
ORDER BY break_id
"""

_OPEN_ITEMS = """
SELECT named.break_id, groups.break_type, named.opened_on, group_key, side, item_id, item_date, value_date, kind,
       reference, settlement_batch_id, items.merchant_id, merchant_segment, merchant_country, items.processor,
       card_last4, currency, items.amount_minor, items.fee_minor
FROM items JOIN groups USING (group_key, currency) JOIN named USING (group_key, currency)
WHERE NOT is_written_off
ORDER BY side, item_id, currency
"""

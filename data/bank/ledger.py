"""The bank's books: entries numbered, batches paid out, every entry in double entry, balances carried forward."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.bank.breaks import LONGEST_CORRECTION_DAYS, BreakMix, Row
from data.reference.geography import load_geography
from expectations.business_days import BusinessCalendar
from expectations.core_banking import FX_RATE_SCALE

EXCHANGED_BY = ("paystream", "vantora")
"""Processors that pay out in euros, whatever the currency of the batch."""

PAYOUT_CURRENCY = "EUR"
ENTRIES_PER_DAY = 10_000_000
_CLOSING_MINUTES = 20
_RATE_WIGGLE = 0.01

ENTRY_SCHEMA = pa.schema(
    [
        ("booking_date", pa.date32()),
        ("value_date", pa.date32()),
        ("kind", pa.string()),
        ("reference", pa.string()),
        ("batch_id", pa.string()),
        ("merchant_id", pa.string()),
        ("processor", pa.string()),
        ("card_last4", pa.string()),
        ("currency", pa.string()),
        ("amount_minor", pa.int64()),
        ("fee_minor", pa.int64()),
    ]
)
"""An entry before it has a number."""


@dataclass(frozen=True)
class DayBooks:
    """What the bank books on one day, as its tables have it."""

    entries: pa.Table
    postings: pa.Table
    batches: pa.Table
    closed: Row


def keep_books(
    day: date, entries: pa.Table, adjustments: Sequence[Row], seed: int, mix: BreakMix, calendar: BusinessCalendar
) -> tuple[DayBooks, list[Row], list[Row]]:
    """The books of a day.

    Args:
        day: the booking day.
        entries: as `ENTRY_SCHEMA`, about payments.
        adjustments: entries that correct earlier payouts.
        seed, mix: which payouts are off.
        calendar: when the day ends.

    Returns:
        The books, the truth about its payouts, and the entries that will correct these.
    """
    rng = np.random.default_rng([seed, day.toordinal(), 1])
    batches = _batches(entries, day, _rates(rng))
    batches, truth, later = _pay_out_wrongly(rng, batches, day, mix)
    all_entries = _numbered(pa.concat_tables([entries, _rows(adjustments), _payouts(batches, day)]), day)
    postings = _postings(all_entries, batches)
    closed = {
        "booking_date": day,
        "closed_at": (calendar.ends_at(day) + timedelta(minutes=_CLOSING_MINUTES)).replace(tzinfo=None),
        "entries": all_entries.num_rows,
        "postings": postings.num_rows,
    }
    booked_at = (calendar.begins_at(day) + timedelta(hours=12)).replace(tzinfo=None)
    stamped = all_entries.append_column("booked_at", pa.array([booked_at] * all_entries.num_rows, pa.timestamp("us")))
    return DayBooks(stamped, postings, batches, closed), truth, later


def balances_after(before: Mapping[str, int], postings: pa.Table) -> dict[str, int]:
    """Every account's debits minus credits, in minor units, after a day's postings."""
    moved = postings.group_by("account_id").aggregate([("debit_minor", "sum"), ("credit_minor", "sum")])
    after = dict(before)
    for row in moved.to_pylist():
        account = row["account_id"]
        after[account] = after.get(account, 0) + row["debit_minor_sum"] - row["credit_minor_sum"]
    return dict(sorted(after.items()))


def account_row(account_id: str) -> Row:
    """An account as the bank's table of accounts has it."""
    family = account_id.partition(":")[0]
    kinds = {"merchants": "liability", "fees": "expense"}
    currency = account_id.rpartition(":")[2]
    return {
        "account_id": account_id,
        "name": account_id.replace(":", " "),
        "kind": kinds.get(family, "asset"),
        "currency": currency,
    }


def payout_of(net_minor: int, fx_rate_e8: int) -> int:
    """Net times rate, rounded half to even."""
    return round(Fraction(net_minor * fx_rate_e8, FX_RATE_SCALE))


def _rows(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist([{name: row[name] for name in ENTRY_SCHEMA.names} for row in rows], ENTRY_SCHEMA)


def _rates(rng: np.random.Generator) -> dict[str, int]:
    """The day's rates into euros, in minor units, times `FX_RATE_SCALE`."""
    geography = load_geography()
    minor_per_eur = dict(zip(geography.currencies, geography.minor_per_eur.tolist(), strict=True))
    wiggles = 1 + _RATE_WIGGLE * (2 * rng.random(len(minor_per_eur)) - 1)
    return {
        currency: max(1, round(100 * FX_RATE_SCALE / minor * wiggle))
        for (currency, minor), wiggle in zip(sorted(minor_per_eur.items()), wiggles, strict=True)
    }


def _batches(entries: pa.Table, day: date, rates: Mapping[str, int]) -> list[Row]:
    summed = (
        entries.group_by(["batch_id", "currency", "processor"])
        .aggregate([("amount_minor", "sum"), ("fee_minor", "sum"), ("kind", "count")])
        .to_pylist()
    )
    batches = []
    for row in sorted(summed, key=lambda row: (row["batch_id"], row["currency"])):
        net = row["amount_minor_sum"] - row["fee_minor_sum"]
        is_exchanged = row["processor"] in EXCHANGED_BY and row["currency"] != PAYOUT_CURRENCY
        rate = rates[row["currency"]] if is_exchanged else FX_RATE_SCALE
        batches.append(
            {
                "batch_id": row["batch_id"],
                "currency": row["currency"],
                "processor": row["processor"],
                "booking_date": day,
                "value_date": day,
                "entries": row["kind_count"],
                "amount_minor": row["amount_minor_sum"],
                "fee_minor": row["fee_minor_sum"],
                "net_minor": net,
                "payout_currency": PAYOUT_CURRENCY if is_exchanged else row["currency"],
                "fx_rate_e8": rate,
                "payout_minor": payout_of(net, rate),
            }
        )
    return batches


def _pay_out_wrongly(
    rng: np.random.Generator, batches: list[Row], day: date, mix: BreakMix
) -> tuple[list[Row], list[Row], list[Row]]:
    paid, truth, later = [], [], []
    for batch, luck in zip(batches, rng.random(len(batches)), strict=True):
        if batch["payout_currency"] == batch["currency"] or luck >= mix.fx_rounding:
            paid.append(batch)
            continue
        off = 1 if rng.random() < 0.5 else -1
        closes_on = day + timedelta(days=int(rng.integers(1, LONGEST_CORRECTION_DAYS + 1)))
        reference = f"payout:{batch['batch_id']}:{batch['currency']}"
        paid.append(batch | {"payout_minor": batch["payout_minor"] + off})
        correction = {
            "booking_date": closes_on,
            "value_date": closes_on,
            "kind": "adjustment",
            "reference": reference,
            "batch_id": None,
            "merchant_id": "",
            "processor": batch["processor"],
            "card_last4": None,
            "currency": batch["payout_currency"],
            "amount_minor": -off,
            "fee_minor": 0,
        }
        later.append(correction)
        truth.append(
            {
                "break_type": "fx_rounding",
                "business_date": day,
                "reference": reference,
                "currency": batch["payout_currency"],
                "amount_minor": -off,
                "fee_minor": 0,
                "closes_on": closes_on,
            }
        )
    return paid, truth, later


def _payouts(batches: Sequence[Row], day: date) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "booking_date": day,
            "value_date": day,
            "kind": "payout",
            "reference": None,
            "batch_id": batch["batch_id"],
            "merchant_id": "",
            "processor": batch["processor"],
            "card_last4": None,
            "currency": batch["payout_currency"],
            "amount_minor": batch["payout_minor"],
            "fee_minor": 0,
        }
        for batch in batches
    ]
    # Which batch of one identity a payout is of, its number says: payouts come in the order of the batches.
    return _rows(rows)


def _numbered(entries: pa.Table, day: date) -> pa.Table:
    """Entries in the order of batch and reference, payouts last and in the order of their batches, numbered."""
    is_payout = pc.equal(entries.column("kind"), "payout")
    payouts, others = entries.filter(is_payout), entries.filter(pc.invert(is_payout))
    order = [
        (name, "ascending") for name in ("batch_id", "reference", "kind", "amount_minor", "fee_minor", "merchant_id")
    ]
    together = pa.concat_tables([others.sort_by(order), payouts])
    first = day.toordinal() * ENTRIES_PER_DAY
    return together.add_column(0, "entry_id", pa.array(np.arange(first, first + together.num_rows)))


_POSTINGS = """
WITH legs AS (
  SELECT entry_id, 0 AS leg, 'merchants:' || currency AS account_id, currency, -amount_minor AS moved FROM entries
  WHERE kind <> 'payout' AND merchant_id <> ''
  UNION ALL
  SELECT entry_id, 1, 'fees:' || processor || ':' || currency, currency, fee_minor FROM entries
  WHERE kind <> 'payout' AND merchant_id <> ''
  UNION ALL
  SELECT entry_id, 2, 'processor:' || processor || ':' || currency, currency, amount_minor - fee_minor FROM entries
  WHERE kind <> 'payout' AND merchant_id <> ''
  UNION ALL
  -- What corrects a payout moves between the position in the currency and our account.
  SELECT entry_id, 0, unnest(['cash:' || currency, 'exchange:' || currency]), currency,
         unnest([amount_minor, -amount_minor])
  FROM entries WHERE kind = 'adjustment' AND merchant_id = ''
  UNION ALL
  SELECT entry_id, 0, 'processor:' || processor || ':' || currency, currency, -net_minor FROM paid
  UNION ALL
  SELECT entry_id, 1, CASE WHEN payout_currency = currency THEN 'cash:' ELSE 'exchange:' END || currency, currency,
         net_minor
  FROM paid
  UNION ALL
  SELECT entry_id, 2, 'exchange:' || payout_currency, payout_currency, -payout_minor FROM paid
  WHERE payout_currency <> currency
  UNION ALL
  SELECT entry_id, 3, 'cash:' || payout_currency, payout_currency, payout_minor FROM paid
  WHERE payout_currency <> currency
)
SELECT entry_id, (row_number() OVER (PARTITION BY entry_id ORDER BY leg, account_id) - 1)::INTEGER AS leg,
       account_id, currency, greatest(moved, 0)::BIGINT AS debit_minor, greatest(-moved, 0)::BIGINT AS credit_minor
FROM legs WHERE moved <> 0 ORDER BY entry_id, leg
"""


def _postings(entries: pa.Table, batches: Sequence[Row]) -> pa.Table:
    payouts = entries.slice(entries.num_rows - len(batches)).column("entry_id").to_pylist()
    names = ("entry_id", "processor", "currency", "net_minor", "payout_currency", "payout_minor")
    types = (pa.int64(), pa.string(), pa.string(), pa.int64(), pa.string(), pa.int64())
    paid = pa.Table.from_pylist(
        [{"entry_id": entry_id} | batch for entry_id, batch in zip(payouts, batches, strict=True)],
        pa.schema(list(zip(names, types, strict=True))),
    )
    with contextlib.closing(duckdb.connect()) as connection:
        connection.register("entries", entries)
        connection.register("paid", paid)
        found = connection.execute(_POSTINGS).to_arrow_table()
    day = entries.column("booking_date")[0].as_py() if entries.num_rows else None
    return found.append_column("booking_date", pa.array([day] * found.num_rows, pa.date32()))

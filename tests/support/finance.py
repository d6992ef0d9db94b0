"""Made-up business days for the tests of finance: a few payments and entries, with what matters said and the rest filled
in."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import pyarrow as pa

from expectations.core_banking import FX_RATE_SCALE
from expectations.finance import LEDGER_BATCHES, LEDGER_ENTRIES, OPEN_ITEMS, PLATFORM_PAYMENTS
from expectations.schema import TableSchema

DAY = date(2026, 10, 12)


def rows(schema: TableSchema, given: Iterable[Mapping[str, Any]]) -> pa.Table:
    """A table of a schema; columns that a row does not name are null."""
    return pa.Table.from_pylist(
        [{column: row.get(column) for column in schema.columns} for row in given], schema.arrow()
    )


def payments(*given: Mapping[str, Any]) -> pa.Table:
    """Payments of the platform: sales of 10.00 EUR with a fee of 0.30 at merchant M1, unless said otherwise."""
    usual = {
        "business_date": DAY,
        "kind": "sale",
        "merchant_id": "M1",
        "merchant_segment": "food",
        "merchant_country": "DE",
        "processor": "nordpay",
        "settlement_batch_id": "SB-nordpay-20261012",
        "card_last4": "0001",
        "currency": "EUR",
        "amount_minor": 1000,
        "fee_minor": 30,
    }
    return rows(PLATFORM_PAYMENTS, [usual | row for row in given])


def entries(*given: Mapping[str, Any]) -> pa.Table:
    """Entries of the bank, likewise; `reference` says about which payment."""
    usual = {
        "booking_date": DAY,
        "value_date": DAY,
        "kind": "sale",
        "batch_id": "SB-nordpay-20261012",
        "merchant_id": "M1",
        "processor": "nordpay",
        "card_last4": "0001",
        "currency": "EUR",
        "amount_minor": 1000,
        "fee_minor": 30,
    }
    return rows(LEDGER_ENTRIES, [{"entry_id": number} | usual | row for number, row in enumerate(given, start=1)])


def batches(*given: Mapping[str, Any]) -> pa.Table:
    """Batches that are paid out; in their own currency, unless a rate is given."""
    usual = {
        "batch_id": "SB-nordpay-20261012",
        "currency": "EUR",
        "processor": "nordpay",
        "booking_date": DAY,
        "value_date": DAY,
        "entries": 1,
        "amount_minor": 0,
        "fee_minor": 0,
        "net_minor": 0,
        "payout_currency": "EUR",
        "fx_rate_e8": FX_RATE_SCALE,
        "payout_minor": 0,
    }
    return rows(LEDGER_BATCHES, [usual | row for row in given])


def nothing_open() -> pa.Table:
    """No break was open before."""
    return rows(OPEN_ITEMS, [])

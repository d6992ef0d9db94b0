"""Made-up business days for the tests of finance: a few payments and entries; what is not said is as usual."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from expectations.catalog import Lake
from expectations.core_banking import FX_RATE_SCALE, fees_account, merchants_account, processor_account
from expectations.finance import (
    LEDGER_BALANCES,
    LEDGER_BATCHES,
    LEDGER_CLOSING,
    LEDGER_ENTRIES,
    LEDGER_POSTINGS,
    OPEN_ITEMS,
    PLATFORM_PAYMENTS,
)
from expectations.schema import TableSchema
from expectations.thresholds import FINANCE, FinancePolicy
from orchestration.finance.business_day import Judgement, read_opening, reconcile_staged, stage
from orchestration.finance.chain import Link
from orchestration.finance.publishing import Published, Publisher
from orchestration.finance.snapshots import BANK, PLATFORM, freeze

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


def ledger(of_day: pa.Table, day: date = DAY, before: Mapping[str, int] | None = None) -> dict[str, pa.Table]:
    """The bank's frozen tables around some entries: postings, batches, balances, closing.

    `before` are the accounts' balances of the day before.
    """
    postings, balances, of_batch = [], dict(before or {}), {}
    for entry in of_day.to_pylist():
        currency, processor = entry["currency"], entry["processor"]
        legs = {
            merchants_account(currency): -entry["amount_minor"],
            fees_account(processor, currency): entry["fee_minor"],
            processor_account(processor, currency): entry["amount_minor"] - entry["fee_minor"],
        }
        for leg, (account, moved) in enumerate(legs.items()):
            balances[account] = balances.get(account, 0) + moved
            postings.append(
                {
                    "entry_id": entry["entry_id"],
                    "leg": leg,
                    "booking_date": day,
                    "account_id": account,
                    "currency": currency,
                    "debit_minor": max(moved, 0),
                    "credit_minor": max(-moved, 0),
                }
            )
        if entry["batch_id"]:
            of_batch.setdefault((entry["batch_id"], currency, processor), []).append(entry)
    paid = []
    for (batch_id, currency, processor), members in of_batch.items():
        amount, fee = (sum(entry[name] for entry in members) for name in ("amount_minor", "fee_minor"))
        net = amount - fee
        paid.append(
            {"batch_id": batch_id, "currency": currency, "processor": processor, "booking_date": day, "value_date": day}
            | {"entries": len(members), "amount_minor": amount, "fee_minor": fee, "net_minor": net}
            | {"payout_currency": currency, "payout_minor": net}
        )
    closing = {"booking_date": day, "entries": of_day.num_rows, "postings": len(postings)}
    return {
        LEDGER_ENTRIES.name: of_day,
        LEDGER_POSTINGS.name: rows(LEDGER_POSTINGS, postings),
        LEDGER_BATCHES.name: batches(*paid),
        LEDGER_BALANCES.name: rows(
            LEDGER_BALANCES,
            [
                {"booking_date": day, "account_id": name, "currency": name[-3:], "closing_minor": closing_minor}
                for name, closing_minor in balances.items()
            ],
        ),
        LEDGER_CLOSING.name: rows(LEDGER_CLOSING, [closing]),
    }


@dataclass
class Books:
    """A lake in which days are made by hand: both sides are frozen as given, reconciled and published."""

    lake: Lake
    now: datetime = datetime(2026, 11, 1, tzinfo=UTC)
    policy: FinancePolicy = FINANCE
    passed: Callable[[str], None] = lambda point: None
    signing_key: Path | None = None
    postgres: str | None = None

    @property
    def registry(self) -> Path:
        return self.lake.root / "keys.json"

    @property
    def publisher(self) -> Publisher:
        return Publisher(
            self.lake, lambda: self.now, "test", self.registry, self.signing_key, self.postgres, self.passed
        )

    def open(self, first: date = DAY) -> Link:
        return self.publisher.declare_opening(first, rows(LEDGER_BALANCES, []), "the test begins here")

    def freeze(self, platform: pa.Table, bank: pa.Table, day: date = DAY) -> None:
        """Both sides of a day; balances go on from those of the day before, as published."""
        before = read_opening(self.lake, day).balances
        held = dict(zip(before["account_id"].to_pylist(), before["closing_minor"].to_pylist(), strict=True))
        freeze(self.lake, BANK, day, ledger(bank, day, held), "test", self.now)
        freeze(self.lake, PLATFORM, day, {PLATFORM_PAYMENTS.name: platform}, "test", self.now)

    def judge(self, day: date = DAY, unsigned_allowed: bool = False) -> Judgement:
        stage(self.lake, day, self.policy)
        return reconcile_staged(self.lake, day, self.registry, unsigned_allowed)

    def run(
        self, platform: pa.Table | None = None, bank: pa.Table | None = None, day: date = DAY, reason: str | None = None
    ) -> Published:
        """A day from its inputs to its publication."""
        self.freeze(payments() if platform is None else platform, entries() if bank is None else bank, day)
        self.judge(day)
        return self.publisher.publish(day, reason)


def plain_day(day: date, payments_count: int = 3) -> tuple[pa.Table, pa.Table]:
    """Both sides of a day on which all is well."""
    names = [f"T{day:%m%d}{number}" for number in range(payments_count)]
    batch = f"SB-nordpay-{day:%Y%m%d}"
    platform = ({"transaction_id": name, "business_date": day, "settlement_batch_id": batch} for name in names)
    numbered = enumerate(names, start=day.toordinal() * 1000)
    bank = (
        {"entry_id": at, "reference": name, "booking_date": day, "value_date": day, "batch_id": batch}
        for at, name in numbered
    )
    return payments(*platform), entries(*bank)

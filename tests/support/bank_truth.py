"""Days of the simulated bank, reconciled in order, held against the truth about its mistakes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from data.bank.ledger import DayBooks
from data.bank.simulate import Books
from expectations.finance import AUDITED_TRIAL_BALANCE, BANK_TABLES, OPEN_ITEMS, PLATFORM_PAYMENTS
from expectations.thresholds import FINANCE, FinancePolicy
from orchestration.finance import gate
from orchestration.finance.audited_tables import audited_tables
from orchestration.finance.reconcile import DayInputs, Reconciliation, reconcile
from orchestration.outcomes import Outcome


@dataclass(frozen=True)
class Break:
    """A break, as the truth and the reconciliation both tell it."""

    kind: str
    about: str
    currency: str
    amount_minor: int
    fee_minor: int
    opened_on: date
    closed_on: date | None


def frozen(books: DayBooks, balances: Mapping[str, int], day: date) -> dict[str, pa.Table]:
    """The bank's day as an extraction gives it."""
    held = [
        {"booking_date": day, "account_id": name, "currency": name.rpartition(":")[2], "closing_minor": closing}
        for name, closing in balances.items()
    ]
    closing = [{name: books.closed[name] for name in ("booking_date", "entries", "postings")}]
    given = (books.entries, books.postings, pa.Table.from_pylist(books.batches), held, closing)
    return {
        schema.name: pa.Table.from_pylist(
            [
                {name: row[name] for name in schema.columns}
                for row in (table.to_pylist() if isinstance(table, pa.Table) else table)
            ],
            schema.arrow(),
        )
        for schema, table in zip(BANK_TABLES, given, strict=True)
    }


@dataclass(frozen=True)
class ReconciledDay:
    """A day of the bank: what came of it, and the gate's verdicts."""

    day: date
    reconciliation: Reconciliation
    outcomes: tuple[Outcome, ...]


def reconciled_days(payments: pa.Table, books: Books, policy: FinancePolicy = FINANCE) -> Iterator[ReconciledDay]:
    """Every day in order, each from what the day before left."""
    opening, before = OPEN_ITEMS.arrow().empty_table(), AUDITED_TRIAL_BALANCE.arrow().empty_table()
    by_day: dict[date, list[dict]] = {}
    for row in payments.to_pylist():
        by_day.setdefault(row["business_date"], []).append(row)
    for day, of_day in books.days.items():
        inputs = frozen(of_day, books.balances[day], day)
        inputs[PLATFORM_PAYMENTS.name] = pa.Table.from_pylist(by_day.get(day, []), PLATFORM_PAYMENTS.arrow())
        found = reconcile(
            DayInputs(
                day,
                inputs[PLATFORM_PAYMENTS.name],
                inputs["ledger_entries"],
                inputs["ledger_batches"],
                opening,
            ),
            policy,
        )
        tables = audited_tables(day, found, inputs[PLATFORM_PAYMENTS.name], inputs["ledger_postings"], before)
        outputs = tables | {"open_items": found.open_items, "reconciled_rows": found.rows}
        judged = gate.Judged(day, inputs, opening, before, outputs)
        outcomes = (*gate.judge_inputs(inputs, opening, [], policy), *gate.judge_result(judged, policy, ""))
        yield ReconciledDay(day, found, outcomes)
        opening, before = found.open_items, tables[AUDITED_TRIAL_BALANCE.name]


def found_breaks(days: list[ReconciledDay]) -> set[Break]:
    """Every break with the day on which it closed, if it did; amounts and types as they were when it opened."""
    opened: dict[str, dict] = {}
    closed: dict[str, date] = {}
    for each in days:
        for row in each.reconciliation.breaks.to_pylist():
            if row["status"] == "closed":
                closed[row["break_id"]] = each.day
            else:
                opened.setdefault(row["break_id"], row)
    return {
        Break(
            row["break_type"],
            row["group_key"],
            row["currency"],
            row["amount_minor"],
            row["fee_minor"],
            row["opened_on"],
            closed.get(name),
        )
        for name, row in opened.items()
    }


def true_breaks(books: Books) -> set[Break]:
    """The truth in the same words. That an entry is late, nobody can tell before it comes: till then it is missing."""
    last = max(books.days)
    return {
        Break(
            "missing_at_bank" if row["break_type"] == "late_posting" else row["break_type"],
            row["reference"],
            row["currency"],
            row["amount_minor"],
            row["fee_minor"],
            row["business_date"],
            row["closes_on"] if row["closes_on"] and row["closes_on"] <= last else None,
        )
        for row in books.truth.to_pylist()
    }

"""Each check of the gate fails for what it is there for."""

from collections.abc import Callable
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from expectations.finance import AUDITED_TRIAL_BALANCE, PLATFORM_PAYMENTS
from expectations.thresholds import FINANCE
from orchestration.finance import gate
from orchestration.finance.audited_tables import audited_tables
from orchestration.finance.reconcile import DayInputs, reconcile
from tests.support.finance import DAY, entries, ledger, nothing_open, payments

NEXT = DAY + timedelta(days=1)


def a_day() -> gate.Judged:
    """Two days: a break is left by the first, a batch of the second is paid out a cent off in another currency."""
    none = AUDITED_TRIAL_BALANCE.arrow().empty_table()
    first = _judged(payments({"transaction_id": "T0"}), entries({"reference": "T9"}), nothing_open(), none)
    platform = payments(
        {"transaction_id": "T1", "business_date": DAY + timedelta(days=1)},
        {"transaction_id": "T2", "business_date": DAY + timedelta(days=1), "kind": "refund", "amount_minor": -200},
    )
    bank = entries(
        {"entry_id": 11, "reference": "T1", "booking_date": DAY + timedelta(days=1)},
        {
            "entry_id": 12,
            "reference": "T2",
            "kind": "refund",
            "amount_minor": -190,
            "booking_date": DAY + timedelta(days=1),
        },
    )
    return _judged(platform, bank, first.outputs["open_items"], first.outputs["audited_trial_balance"], NEXT, 1)


def _judged(platform, bank, opening, before, day=DAY, payout_off=0) -> gate.Judged:
    held = dict(zip(before["account_id"].to_pylist(), before["closing_minor"].to_pylist(), strict=True))
    inputs = ledger(bank, day, held) | {PLATFORM_PAYMENTS.name: platform}
    batches = inputs["ledger_batches"]
    at = batches.schema.get_field_index("payout_minor")
    paid = pc.add(batches["payout_minor"], payout_off).cast(pa.int64())
    inputs["ledger_batches"] = batches.set_column(at, batches.schema.field(at), paid)
    found = reconcile(DayInputs(day, platform, bank, inputs["ledger_batches"], opening), FINANCE)
    tables = audited_tables(day, found, platform, inputs["ledger_postings"], before)
    outputs = tables | {"open_items": found.open_items, "reconciled_rows": found.rows}
    return gate.Judged(day, inputs, opening, before, outputs)


def failed(judged: gate.Judged, changed: tuple[str, ...] = ()) -> set[str]:
    outcomes = gate.judge_inputs(judged.inputs, judged.opening, changed, FINANCE)
    outcomes += gate.judge_result(judged, FINANCE, "")
    return {outcome.check for outcome in outcomes if not outcome.passed}


def changed(judged: gate.Judged, where: str, table: str, change: Callable[[pa.Table], pa.Table]) -> gate.Judged:
    tables = getattr(judged, where)
    new = {**tables, table: change(tables[table])} if isinstance(tables, dict) else change(tables)
    return gate.Judged(**{**judged.__dict__, where: new})


def plus_one(column: str) -> Callable[[pa.Table], pa.Table]:
    """The first row has one more, or a day more, in a column."""

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(column)
        values = table[column].to_pylist()
        values[0] = values[0] + 1 if isinstance(values[0], int) else f"{values[0]}x"
        return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))

    return change


def without_first(table: pa.Table) -> pa.Table:
    return table.slice(1)


def first_twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, 1)])


def test_a_day_as_it_should_be_passes():
    assert failed(a_day()) == set()


CASES = [
    ("inputs", "platform_payments", first_twice, "nothing_comes_twice"),
    ("inputs", "ledger_entries", first_twice, "nothing_comes_twice"),
    ("inputs", "ledger_closing", plus_one("entries"), "ledger_is_complete"),
    ("inputs", "ledger_closing", plus_one("postings"), "ledger_is_complete"),
    ("inputs", "ledger_entries", without_first, "ledger_is_complete"),
    ("inputs", "ledger_batches", plus_one("amount_minor"), "ledger_is_complete"),
    ("inputs", "ledger_batches", without_first, "ledger_is_complete"),
    ("inputs", "ledger_postings", plus_one("debit_minor"), "debits_equal_credits"),
    ("inputs", "ledger_postings", plus_one("account_id"), "debits_equal_credits"),
    ("inputs", "ledger_entries", plus_one("fee_minor"), "debits_equal_credits"),
    ("outputs", "reconciled_rows", without_first, "every_row_ends_once"),
    ("outputs", "reconciled_rows", first_twice, "every_row_ends_once"),
    ("outputs", "reconciled_rows", plus_one("item_id"), "every_row_ends_once"),
    ("outputs", "open_items", without_first, "every_row_ends_once"),
    ("outputs", "audited_daily_breaks", without_first, "every_row_ends_once"),
    ("inputs", "platform_payments", plus_one("amount_minor"), "money_adds_up"),
    ("inputs", "ledger_batches", plus_one("payout_minor"), "money_adds_up"),
    ("outputs", "audited_daily_breaks", plus_one("net_minor"), "money_adds_up"),
    ("outputs", "audited_daily_settlement", plus_one("gross_minor"), "money_adds_up"),
    ("outputs", "audited_daily_settlement", plus_one("open_breaks_minor"), "money_adds_up"),
    ("outputs", "audited_daily_settlement", without_first, "money_adds_up"),
    ("outputs", "audited_daily_revenue", plus_one("fees_minor"), "money_adds_up"),
    ("outputs", "audited_daily_revenue", plus_one("pending_minor"), "money_adds_up"),
    ("outputs", "audited_daily_revenue", without_first, "money_adds_up"),
    ("outputs", "audited_trial_balance", plus_one("closing_minor"), "balances_roll_forward"),
    ("outputs", "audited_trial_balance", without_first, "balances_roll_forward"),
    ("inputs", "ledger_balances", plus_one("closing_minor"), "balances_roll_forward"),
    ("balances_before", "", plus_one("closing_minor"), "balances_roll_forward"),
    ("balances_before", "", without_first, "balances_roll_forward"),
]


@pytest.mark.parametrize(
    ("where", "table", "change", "check"), CASES, ids=[f"{case[1]}-{case[3]}-{at}" for at, case in enumerate(CASES)]
)
def test_what_is_wrong_is_seen(where: str, table: str, change: Callable, check: str):
    assert check in failed(changed(a_day(), where, table, change))


def test_a_changed_input_is_named():
    outcome = gate.judge_inputs(a_day().inputs, a_day().opening, ["ledger_entries"], FINANCE)[0]
    assert not outcome.passed and outcome.summary == "changed: ledger_entries"


def test_what_is_unexplained_is_told_per_currency():
    old = a_day().outputs["audited_daily_breaks"]
    at = old.schema.get_field_index("age_days")
    aged = old.set_column(at, old.schema.field(at), pa.array([6] * old.num_rows, pa.int64()))
    found = gate.unexplained(aged, FINANCE)
    still_open = [row for row in old.to_pylist() if row["status"] == "open"]
    assert found == {"EUR": sum(abs(row["amount_minor"]) + abs(row["fee_minor"]) for row in still_open)}
    assert found["EUR"] > 0 and gate.unexplained(old, FINANCE) == {}

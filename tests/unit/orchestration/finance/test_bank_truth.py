"""The simulated bank's mistakes are found, every one, with its right name, and none is invented."""

from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.bank.breaks import NO_BREAKS, PER_PAYMENT, BreakMix
from data.bank.simulate import book
from expectations.business_days import BusinessCalendar
from expectations.finance import PLATFORM_PAYMENTS
from tests.support.bank_truth import found_breaks, reconciled_days, true_breaks

FIRST = date(2026, 10, 22)
LAST = date(2026, 10, 28)
"""With the end of summer time in Europe between them."""

SHARE = st.sampled_from([0.0, 0.02, 0.1])
MIXES = st.builds(
    BreakMix,
    **dict.fromkeys(PER_PAYMENT, SHARE),
    batched=st.sampled_from([0.0, 0.3]),
    fx_rounding=st.sampled_from([0.0, 0.5]),
    never_corrected=st.sampled_from([0.0, 0.5]),
)


def some_payments(seed: int, per_day: int = 60) -> pa.Table:
    """Payments of a week at a few merchants, by a hash of their number, so that they are the same for each seed."""
    processors, currencies = ("nordpay", "acquira", "vantora", "paystream"), ("EUR", "SEK", "JPY")
    rows = []
    for at in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=at)
        for number in range(per_day):
            chance = hash((seed, at, number)) & 0xFFFFFFFF
            kind = ("sale", "sale", "sale", "refund", "chargeback", "reversal")[chance % 6]
            merchant, processor = chance // 6 % 5, processors[chance // 30 % 4]
            amount = 100 + chance // 120 % 50_000
            rows.append(
                {
                    "transaction_id": f"T{at}{number:03d}",
                    "business_date": day,
                    "kind": kind,
                    "merchant_id": f"M{merchant}",
                    "merchant_segment": "food",
                    "merchant_country": "DE",
                    "processor": processor,
                    "settlement_batch_id": f"SB-{processor}-{day:%Y%m%d}",
                    "card_last4": f"{chance // 7 % 10_000:04d}",
                    "currency": currencies[merchant % 3],
                    "amount_minor": amount if kind == "sale" else -amount,
                    "fee_minor": 5 + chance % 90,
                }
            )
    return pa.Table.from_pylist(rows, PLATFORM_PAYMENTS.arrow())


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), mix=MIXES)
def test_every_break_is_found_with_its_right_name_and_none_is_invented(seed: int, mix: BreakMix):
    payments = some_payments(seed)
    books = book(payments, FIRST, LAST, seed, mix)
    days = [*reconciled_days(payments, books)]
    found, true = found_breaks(days), true_breaks(books)
    assert found - true == set() and true - found == set()
    faults = [f"{each.day} {outcome.check}: {outcome.summary}" for each in days for outcome in each.outcomes]
    assert [fault for fault, outcome in zip(faults, _all(days), strict=True) if not outcome.passed] == _too_old(days)


def _all(days):
    return [outcome for each in days for outcome in each.outcomes]


def _too_old(days) -> list[str]:
    """What the bank never corrects must keep later days from being published, and nothing else may."""
    return [
        f"{each.day} {outcome.check}: {outcome.summary}"
        for each in days
        for outcome in each.outcomes
        if outcome.check == "unexplained_within_tolerance"
        and any(row["status"] == "open" and row["age_days"] > 5 for row in each.reconciliation.breaks.to_pylist())
    ]


def test_a_bank_without_mistakes_leaves_no_break():
    payments = some_payments(1)
    books = book(payments, FIRST, LAST, 1, NO_BREAKS)
    for each in reconciled_days(payments, books):
        assert each.reconciliation.breaks.num_rows == 0
        assert {row["pass"] for row in each.reconciliation.rows.to_pylist()} == {"exact_id"}


def test_a_stretch_that_grows_is_the_stretch_written_at_once():
    payments = some_payments(2)
    mix = BreakMix(missing_at_bank=0.1, amount_mismatch=0.1, batched=0.3, fx_rounding=0.5)
    shorter = book(payments, FIRST, LAST - timedelta(days=2), 2, mix)
    whole = book(payments, FIRST, LAST, 2, mix)
    for day, books in shorter.days.items():
        assert books.entries == whole.days[day].entries and books.postings == whole.days[day].postings
        assert books.batches == whole.days[day].batches and shorter.balances[day] == whole.balances[day]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("cutoff_hour", [0, 4, 22])
def test_a_business_day_has_23_to_25_hours_and_every_instant_is_in_one(zone: str, cutoff_hour: int):
    calendar = BusinessCalendar(zone, cutoff_hour)
    day = date(2026, 10, 20)
    lengths = set()
    while day < date(2026, 11, 5):
        begins, ends = calendar.begins_at(day), calendar.ends_at(day)
        assert calendar.begins_at(day + timedelta(days=1)) == ends
        lengths.add((ends - begins).total_seconds() / 3600)
        instant = begins
        while instant < ends:
            assert calendar.business_date(instant) == day
            instant += timedelta(minutes=30)
        assert calendar.business_date(ends - timedelta(microseconds=1)) == day
        day += timedelta(days=1)
    assert lengths <= {23, 24, 25} and (zone == "UTC") == (lengths == {24})


def test_days_without_payments_are_closed_and_reconciled_too():
    payments = some_payments(4).slice(0, 60)
    books = book(payments, FIRST - timedelta(days=2), LAST, 4, BreakMix(missing_at_bank=0.3))
    days = [*reconciled_days(payments, books)]
    assert len(days) == 9 and all(outcome.passed for outcome in _all(days))
    assert found_breaks(days) == true_breaks(books)

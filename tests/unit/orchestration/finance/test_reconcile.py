"""What belongs together, what is left, and what it is called."""

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.thresholds import FINANCE
from orchestration.finance.reconcile import DayInputs, Reconciliation, reconcile
from tests.support.finance import DAY, batches, entries, nothing_open, payments

NEXT = DAY + timedelta(days=1)


def reconciled(
    platform: pa.Table, bank: pa.Table, opening: pa.Table | None = None, day=DAY, paid_out=None, written_off=()
) -> Reconciliation:
    return reconcile(
        DayInputs(day, platform, bank, paid_out or batches(), opening or nothing_open(), written_off), FINANCE
    )


def breaks(found: Reconciliation) -> list[tuple]:
    return [
        (row["break_type"], row["status"], row["group_key"], row["amount_minor"], row["fee_minor"], row["resolution"])
        for row in sorted(found.breaks.to_pylist(), key=lambda row: (row["group_key"], row["break_type"]))
    ]


def passes(found: Reconciliation) -> dict[tuple[str, str], tuple]:
    return {
        (row["side"], row["item_id"]): (row["pass"], row["group_key"], row["break_id"] is not None)
        for row in found.rows.to_pylist()
    }


def a_payment(name: str, **fields) -> dict:
    return {"transaction_id": name, **fields}


def an_entry(about: str | None, **fields) -> dict:
    return {"reference": about, **fields}


def test_a_payment_and_its_entry_are_a_pair():
    found = reconciled(payments(a_payment("T1")), entries(an_entry("T1")))
    assert breaks(found) == [] and found.open_items.num_rows == 0
    assert passes(found) == {("platform", "T1"): ("exact_id", "T1", False), ("bank", "1"): ("exact_id", "T1", False)}


@pytest.mark.parametrize(
    ("about", "kind", "amount_minor", "fee_minor"),
    [
        ([], "missing_at_bank", 1000, 30),
        ([an_entry("T1", amount_minor=900)], "amount_mismatch", 100, 0),
        ([an_entry("T1", fee_minor=31)], "fee_mismatch", 0, -1),
        ([an_entry("T1"), an_entry("T1")], "duplicate_posting", -1000, -30),
        (
            [an_entry("T1"), an_entry("T1", kind="reversal", amount_minor=-1000, fee_minor=-30)],
            "reversed_at_bank",
            1000,
            30,
        ),
    ],
)
def test_what_is_in_a_group_says_what_is_wrong(about, kind, amount_minor, fee_minor):
    found = reconciled(payments(a_payment("T1")), entries(*about))
    assert breaks(found) == [(kind, "open", "T1", amount_minor, fee_minor, None)]
    assert found.open_items.num_rows == 1 + len(about)


def test_an_entry_about_nothing_is_missing_at_the_platform():
    found = reconciled(payments(), entries(an_entry("X9", card_last4="9999"), an_entry(None, card_last4="8888")))
    assert breaks(found) == [
        ("missing_at_platform", "open", "X9", -1000, -30, None),
        ("missing_at_platform", "open", "entry:2", -1000, -30, None),
    ]


def test_another_currency_is_another_break():
    found = reconciled(payments(a_payment("T1")), entries(an_entry("T1", currency="USD")))
    assert breaks(found) == [
        ("missing_at_bank", "open", "T1", 1000, 30, None),
        ("missing_at_platform", "open", "T1", -1000, -30, None),
    ]


def test_a_payment_may_be_booked_in_parts():
    found = reconciled(
        payments(a_payment("T1")),
        entries(an_entry("T1", amount_minor=400, fee_minor=10), an_entry("T1", amount_minor=600, fee_minor=20)),
    )
    assert breaks(found) == []
    assert {value[0] for value in passes(found).values()} == {"exact_id"}


@pytest.mark.parametrize("reference", [None, "GARBLED"])
def test_an_entry_without_a_known_reference_finds_its_payment_by_the_composite_key(reference):
    found = reconciled(payments(a_payment("T1")), entries(an_entry(reference, value_date=DAY + timedelta(days=2))))
    assert breaks(found) == []
    assert passes(found)["bank", "1"] == ("composite_key", "T1", False)


@pytest.mark.parametrize(
    "difference",
    [{"merchant_id": "M2"}, {"processor": "acquira"}, {"card_last4": "0002"}, {"kind": "refund"}, {"amount_minor": 1}],
)
def test_every_part_of_the_composite_key_counts(difference):
    found = reconciled(payments(a_payment("T1")), entries(an_entry(None, **difference)))
    assert [row[0] for row in breaks(found)] == ["missing_at_bank", "missing_at_platform"]


def test_the_composite_key_has_a_window():
    far = FINANCE.composite_window_days + 1
    found = reconciled(payments(a_payment("T1")), entries(an_entry(None, value_date=DAY - timedelta(days=far))))
    assert [row[0] for row in breaks(found)] == ["missing_at_bank", "missing_at_platform"]


def test_ties_are_broken_by_identity():
    found = reconciled(payments(a_payment("T2"), a_payment("T1")), entries(an_entry(None), an_entry(None)))
    assert passes(found)["bank", "1"][1] == "T1" and passes(found)["bank", "2"][1] == "T2"


def test_many_payments_are_booked_as_one_settlement():
    of_batch = {"kind": "settlement", "card_last4": None}
    platform = payments(a_payment("T1"), a_payment("T2", kind="refund", amount_minor=-200), a_payment("T3"))
    bank = entries(an_entry("T3"), an_entry(None, amount_minor=800, fee_minor=60, **of_batch))
    found = reconciled(platform, bank)
    assert breaks(found) == []
    assert passes(found)["platform", "T1"] == ("settlement_batch", "batch:SB-nordpay-20261012:M1", False)
    found = reconciled(platform, entries(an_entry("T3"), an_entry(None, amount_minor=700, fee_minor=60, **of_batch)))
    assert breaks(found) == [("batch_mismatch", "open", "batch:SB-nordpay-20261012:M1", 100, 0, None)]
    assert found.open_items.num_rows == 3


@pytest.mark.parametrize(("off", "kind"), [(1, "fx_rounding"), (-1, "fx_rounding"), (2, "payout_mismatch"), (0, None)])
@pytest.mark.parametrize(("net_minor", "expected"), [(100, 50), (-100, -50), (101, 50), (103, 52), (-101, -50)])
def test_a_payout_is_net_times_rate_rounded_half_to_even(off, kind, net_minor, expected):
    half = {"currency": "SEK", "net_minor": net_minor, "fx_rate_e8": 50_000_000, "payout_minor": expected + off}
    found = reconciled(payments(), entries(), paid_out=batches(half))
    name = "payout:SB-nordpay-20261012:SEK"
    assert breaks(found) == ([(kind, "open", name, -off, 0, None)] if kind else [])


@pytest.mark.parametrize(
    ("first", "second", "resolution"),
    [
        ([], [an_entry("T1")], "late_posting"),
        ([], [an_entry(None, value_date=DAY)], "late_posting"),
        (
            [an_entry("T1", amount_minor=900)],
            [an_entry("T1", kind="adjustment", amount_minor=100, fee_minor=0)],
            "corrected",
        ),
        (
            [an_entry("T1"), an_entry("T1")],
            [an_entry("T1", kind="adjustment", amount_minor=-1000, fee_minor=-30)],
            "corrected",
        ),
    ],
)
def test_what_the_bank_posts_later_closes_a_break(first, second, resolution):
    before = reconciled(payments(a_payment("T1")), entries(*first))
    later = entries(*({"entry_id": 10 + at, "booking_date": NEXT} | row for at, row in enumerate(second)))
    found = reconciled(payments(), later, before.open_items, NEXT)
    (opened,), (closed,) = before.breaks.to_pylist(), found.breaks.to_pylist()
    assert closed["break_id"] == opened["break_id"] and closed["age_days"] == 1
    assert (closed["status"], closed["resolution"], closed["net_minor"]) == ("closed", resolution, opened["net_minor"])
    assert found.open_items.num_rows == 0
    assert all(row["break_id"] is None for row in found.rows.to_pylist())


def test_a_payment_that_arrives_late_closes_what_the_bank_had():
    before = reconciled(payments(), entries(an_entry("T1")))
    found = reconciled(payments(a_payment("T1", business_date=NEXT)), entries(), before.open_items, NEXT)
    assert breaks(found) == [("missing_at_platform", "closed", "T1", -1000, -30, "late_payment")]


def test_a_break_keeps_its_name_while_it_changes_its_kind():
    before = reconciled(payments(a_payment("T1")), entries())
    late = entries({"entry_id": 10, "booking_date": NEXT, "reference": "T1", "amount_minor": 999})
    found = reconciled(payments(), late, before.open_items, NEXT)
    (opened,), (changed,) = before.breaks.to_pylist(), found.breaks.to_pylist()
    assert changed["break_id"] == opened["break_id"] and changed["opened_on"] == DAY
    assert (changed["break_type"], changed["status"], changed["amount_minor"]) == ("amount_mismatch", "open", 1)


def test_two_breaks_that_come_together_end_together():
    """A payment without an entry, and the next day an entry whose reference nobody knows: one was the other."""
    before = reconciled(payments(), entries(an_entry("X9")))
    found = reconciled(payments(a_payment("T1", business_date=NEXT)), entries(), before.open_items, NEXT)
    assert breaks(found) == [("missing_at_platform", "closed", "X9", -1000, -30, "late_payment")]


def test_a_controller_writes_off_what_is_left():
    before = reconciled(payments(a_payment("T1")), entries())
    (opened,) = before.breaks.to_pylist()
    found = reconciled(payments(), entries(), before.open_items, NEXT, written_off={opened["break_id"]})
    assert breaks(found) == [("missing_at_bank", "closed", "T1", 1000, 30, "written_off")]
    assert found.open_items.num_rows == 0
    assert passes(found)["platform", "T1"] == (None, "T1", True)


SIGNED = st.integers(-3, 3).map(lambda n: n * 100)
PAYMENT = st.fixed_dictionaries(
    {
        "transaction_id": st.sampled_from([f"T{n}" for n in range(6)]),
        "merchant_id": st.sampled_from(["M1", "M2"]),
        "card_last4": st.sampled_from(["0001", None]),
        "currency": st.sampled_from(["EUR", "SEK"]),
        "amount_minor": SIGNED,
    }
)
ENTRY = st.fixed_dictionaries(
    {
        "reference": st.sampled_from([None, "X1", *(f"T{n}" for n in range(6))]),
        "kind": st.sampled_from(["sale", "reversal", "settlement", "adjustment"]),
        "merchant_id": st.sampled_from(["M1", "M2"]),
        "card_last4": st.sampled_from(["0001", None]),
        "currency": st.sampled_from(["EUR", "SEK"]),
        "amount_minor": SIGNED,
        "fee_minor": st.sampled_from([30, 0]),
    }
)
DAYS = st.lists(
    st.tuples(st.lists(PAYMENT, max_size=6, unique_by=lambda row: row["transaction_id"]), st.lists(ENTRY, max_size=8)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=20, deadline=None)
@given(days=DAYS, seed=st.randoms(use_true_random=False))
def test_whatever_comes_every_row_ends_once_and_every_cent_is_accounted_for(days, seed):
    """Days in a row, reconciled in order and with shuffled rows: conservation of rows and money, and determinism."""
    opening, seen, entry_id = nothing_open(), set(), 0
    for offset, (of_platform, of_bank) in enumerate(days):
        day = DAY + timedelta(days=offset)
        platform = [row | {"business_date": day} for row in of_platform if row["transaction_id"] not in seen]
        seen |= {row["transaction_id"] for row in platform}
        bank = [
            row | {"entry_id": entry_id + at, "booking_date": day, "value_date": day} for at, row in enumerate(of_bank)
        ]
        entry_id += len(bank)
        found = reconciled(payments(*platform), entries(*bank), opening, day)
        seed.shuffle(platform)
        seed.shuffle(bank)
        again = reconcile(DayInputs(day, payments(*platform), entries(*bank), batches(), opening), FINANCE, threads=1)
        assert again.breaks == found.breaks and again.open_items == found.open_items
        order = [("side", "ascending"), ("item_id", "ascending"), ("currency", "ascending")]
        assert again.rows.sort_by(order) == found.rows.sort_by(order)
        _everything_is_accounted_for(found, platform, bank, opening)
        opening = found.open_items


def _everything_is_accounted_for(found: Reconciliation, platform: list, bank: list, opening: pa.Table) -> None:
    carried = opening.to_pylist()
    ended = [(row["side"], row["item_id"]) for row in found.rows.to_pylist()]
    expected = [("platform", row["transaction_id"]) for row in platform]
    expected += [("bank", str(row["entry_id"])) for row in bank] + [(row["side"], row["item_id"]) for row in carried]
    assert sorted(ended) == sorted(expected)
    for currency in ("EUR", "SEK"):

        def net(rows, wanted=currency):
            return sum(row["amount_minor"] - row.get("fee_minor", 30) for row in rows if row["currency"] == wanted)

        carried_in = net([r for r in carried if r["side"] == "platform"]) - net(
            [r for r in carried if r["side"] == "bank"]
        )
        still_open = net([row for row in found.breaks.to_pylist() if row["status"] == "open"])
        assert net(platform) + carried_in == net(bank) + still_open
    in_breaks = {row["break_id"] for row in found.rows.to_pylist()} - {None}
    assert in_breaks == {row["break_id"] for row in found.breaks.to_pylist() if row["status"] == "open"}

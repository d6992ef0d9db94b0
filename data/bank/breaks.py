"""How the bank books a day's payments: most of them plainly, some of them wrongly, late, in parts or in bulk."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Row = dict[str, Any]
LONGEST_CORRECTION_DAYS = 4
_KEY = ("merchant_id", "processor", "kind", "currency", "amount_minor", "card_last4")
_NOBODYS_CARD = "XXXX"


@dataclass(frozen=True)
class BreakMix:
    """Which share of a day's payments the bank books otherwise than plainly.

    Attributes:
        missing_at_bank, late_posting: not on the day; some days later, or the next one.
        missing_at_platform: an entry about nothing, per payment of the day.
        amount_mismatch, fee_mismatch, duplicate_posting, reversed_at_bank: corrected some days later.
        split: in two or three entries; no break.
        garbled_reference: without saying about which payment; no break.
        batched: of the groups of a merchant's payments in a batch, booked as one entry; no break.
        fx_rounding: of the batches that are exchanged, paid out a minor unit off.
        never_corrected: of the amounts and fees that are off, those that stay so.
    """

    missing_at_bank: float = 0.001
    late_posting: float = 0.003
    missing_at_platform: float = 0.0005
    amount_mismatch: float = 0.0008
    fee_mismatch: float = 0.0008
    duplicate_posting: float = 0.0008
    reversed_at_bank: float = 0.0005
    split: float = 0.003
    garbled_reference: float = 0.002
    batched: float = 0.02
    fx_rounding: float = 0.1
    never_corrected: float = 0.1


DEFAULT_MIX = BreakMix()
NO_BREAKS = BreakMix(**{each.name: 0.0 for each in fields(BreakMix)})

PER_PAYMENT = (
    "missing_at_bank",
    "late_posting",
    "missing_at_platform",
    "amount_mismatch",
    "fee_mismatch",
    "duplicate_posting",
    "reversed_at_bank",
    "split",
    "garbled_reference",
)


@dataclass
class Bookings:
    """Entries by booking day, as tables and as single rows, and the truth about what is wrong with them."""

    tables: dict[date, list[pa.Table]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[date, list[Row]] = field(default_factory=lambda: defaultdict(list))
    truth: list[Row] = field(default_factory=list)


def book_day(
    bookings: Bookings,
    day: date,
    payments: pa.Table,
    recent_keys: Mapping[tuple, int],
    is_first_day_of_batch: pa.ChunkedArray,
    seed: int,
    mix: BreakMix,
) -> None:
    """Adds a day's payments to the bookings, of this day and of those after it.

    Args:
        bookings: what is added to.
        day: the business day.
        payments: its payments as `PLATFORM_PAYMENTS`, in the order of their identity.
        recent_keys: how often each composite key occurs among the payments of this day and of those just before.
        is_first_day_of_batch: for each payment, whether its batch began on this day.
        seed, mix: what goes wrong; the same ones give the same bookings, whatever comes after the day.
    """
    rng = np.random.default_rng([seed, day.toordinal()])
    kinds = _draw_kinds(rng, payments.num_rows, mix)
    in_bulk = _choose_groups(rng, payments, is_first_day_of_batch, mix)
    kinds = np.where(in_bulk >= 0, -1, kinds)
    plain = payments.filter(pa.array((kinds < 0) & (in_bulk < 0)))
    bookings.tables[day].append(_plain_entries(plain, day))
    _book_groups(bookings, day, payments.filter(pa.array(in_bulk >= 0)), in_bulk[in_bulk >= 0])
    for at in np.flatnonzero(kinds >= 0):
        payment = {name: payments.column(name)[int(at)].as_py() for name in payments.column_names}
        _BOOKED[PER_PAYMENT[kinds[at]]](_Booking(bookings, day, payment, rng, recent_keys, mix))


def composite_keys(payments: pa.Table) -> Iterator[tuple]:
    """By what an entry without a reference can still be told."""
    return zip(*(payments.column(name).to_pylist() for name in _KEY), strict=True)


def _draw_kinds(rng: np.random.Generator, count: int, mix: BreakMix) -> np.ndarray:
    """Per payment, the position in `PER_PAYMENT` of what happens to it; -1 for nothing."""
    bounds = np.cumsum([getattr(mix, name) for name in PER_PAYMENT])
    drawn = np.searchsorted(bounds, rng.random(count), side="right")
    return np.where(drawn < len(PER_PAYMENT), drawn, -1)


def _choose_groups(
    rng: np.random.Generator, payments: pa.Table, is_first_day: pa.ChunkedArray, mix: BreakMix
) -> np.ndarray:
    """Per payment, the number of the group with which it is booked at once; -1 for none."""
    names = ("settlement_batch_id", "merchant_id", "currency")
    keys = pc.binary_join_element_wise(*(payments.column(name).cast(pa.string()) for name in names), "\t")
    groups, members, counts = np.unique(
        np.asarray(keys.to_pylist(), dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    chosen = (rng.random(len(groups)) < mix.batched) & (counts > 1)
    is_chosen = chosen[members] & is_first_day.to_numpy(zero_copy_only=False) if len(members) else np.zeros(0, bool)
    return np.where(is_chosen, members, -1)


def _plain_entries(payments: pa.Table, day: date) -> pa.Table:
    days = pa.array([day] * payments.num_rows, pa.date32())
    columns = {
        "booking_date": days,
        "value_date": days,
        "kind": payments.column("kind"),
        "reference": payments.column("transaction_id"),
        "batch_id": payments.column("settlement_batch_id"),
        **{name: payments.column(name) for name in ("merchant_id", "processor", "card_last4", "currency")},
        **{name: payments.column(name) for name in ("amount_minor", "fee_minor")},
    }
    return pa.table(columns)


def _book_groups(bookings: Bookings, day: date, payments: pa.Table, groups: np.ndarray) -> None:
    if not payments.num_rows:
        return
    summed = (
        payments.append_column("group", pa.array(groups))
        .group_by(["group", "settlement_batch_id", "merchant_id", "currency"])
        .aggregate([("processor", "min"), ("amount_minor", "sum"), ("fee_minor", "sum")])
        .sort_by("group")
    )
    for row in summed.to_pylist():
        bookings.rows[day].append(
            {
                "booking_date": day,
                "value_date": day,
                "kind": "settlement",
                "reference": None,
                "batch_id": row["settlement_batch_id"],
                "merchant_id": row["merchant_id"],
                "processor": row["processor_min"],
                "card_last4": None,
                "currency": row["currency"],
                "amount_minor": row["amount_minor_sum"],
                "fee_minor": row["fee_minor_sum"],
            }
        )


@dataclass(frozen=True)
class _Booking:
    """One payment that is not booked plainly."""

    bookings: Bookings
    day: date
    payment: Row
    rng: np.random.Generator
    recent_keys: Mapping[tuple, int]
    mix: BreakMix

    @property
    def amount(self) -> int:
        return self.payment["amount_minor"]

    @property
    def fee(self) -> int:
        return self.payment["fee_minor"]

    def later(self) -> date:
        """The day of the correction."""
        return self.day + timedelta(days=int(self.rng.integers(1, LONGEST_CORRECTION_DAYS + 1)))

    def enter(self, amount: int | None = None, fee: int | None = None, on: date | None = None, **other: Any) -> None:
        """An entry about the payment, plain but for what is said."""
        booked_on = on or self.day
        kind = other.get("kind", self.payment["kind"])
        batch = self.payment["settlement_batch_id"]
        if kind == "adjustment":
            batch = f"ADJ-{self.payment['processor']}-{booked_on:%Y%m%d}"
        elif booked_on != self.day:
            batch = f"{batch}-L{booked_on:%Y%m%d}"
        row = {
            "booking_date": booked_on,
            "value_date": booked_on,
            "kind": kind,
            "reference": self.payment["transaction_id"],
            "batch_id": batch,
            **{name: self.payment[name] for name in ("merchant_id", "processor", "card_last4", "currency")},
            "amount_minor": self.amount if amount is None else amount,
            "fee_minor": self.fee if fee is None else fee,
        }
        self.bookings.rows[booked_on].append(row | other)

    def tell(self, kind: str, amount: int, fee: int, closes_on: date | None, reference: str | None = None) -> None:
        """The truth: what the platform has more than the bank, at the end of the day."""
        self.bookings.truth.append(
            {
                "break_type": kind,
                "business_date": self.day,
                "reference": reference or self.payment["transaction_id"],
                "currency": self.payment["currency"],
                "amount_minor": amount,
                "fee_minor": fee,
                "closes_on": closes_on,
            }
        )

    def correct(self, kind: str, amount: int, fee: int, may_stay: bool = False) -> None:
        """Tells the difference, and posts it some days later; or never."""
        stays = may_stay and self.rng.random() < self.mix.never_corrected
        closes_on = None if stays else self.later()
        if closes_on:
            self.enter(amount, fee, closes_on, kind="adjustment")
        self.tell(kind, amount, fee, closes_on)


def _missing_at_bank(booking: _Booking) -> None:
    closes_on = booking.later()
    booking.enter(on=closes_on)
    booking.tell("missing_at_bank", booking.amount, booking.fee, closes_on)


def _late_posting(booking: _Booking) -> None:
    closes_on = booking.day + timedelta(days=1)
    booking.enter(on=closes_on, value_date=booking.day)
    booking.tell("late_posting", booking.amount, booking.fee, closes_on)


def _missing_at_platform(booking: _Booking) -> None:
    """The payment itself is booked plainly; beside it stands an entry about nothing."""
    booking.enter()
    reference, closes_on = f"X{booking.payment['transaction_id']}", booking.later()
    amount, fee = int(booking.rng.integers(100, 100_000)), int(booking.rng.integers(1, 100))
    unknown = {"reference": reference, "card_last4": _NOBODYS_CARD}
    booking.enter(amount, fee, kind="sale", **unknown)
    booking.enter(-amount, -fee, closes_on, kind="adjustment", **unknown)
    booking.tell("missing_at_platform", -amount, -fee, closes_on, reference)


def _amount_mismatch(booking: _Booking) -> None:
    off = int(booking.rng.integers(1, max(2, abs(booking.amount) // 10)))
    if booking.rng.random() < 0.5 and abs(booking.amount) > off:
        off = -off
    off = off if booking.amount >= 0 else -off
    booking.enter(booking.amount + off)
    booking.correct("amount_mismatch", -off, 0, may_stay=True)


def _fee_mismatch(booking: _Booking) -> None:
    off = int(booking.rng.integers(1, 10))
    booking.enter(fee=booking.fee + off)
    booking.correct("fee_mismatch", 0, -off, may_stay=True)


def _duplicate_posting(booking: _Booking) -> None:
    booking.enter()
    booking.enter()
    booking.correct("duplicate_posting", -booking.amount, -booking.fee)


def _reversed_at_bank(booking: _Booking) -> None:
    booking.enter()
    if booking.payment["kind"] == "reversal":
        return
    booking.enter(-booking.amount, -booking.fee, kind="reversal")
    closes_on = booking.later()
    booking.enter(on=closes_on)
    booking.tell("reversed_at_bank", booking.amount, booking.fee, closes_on)


def _split(booking: _Booking) -> None:
    parts = int(booking.rng.integers(2, 4))
    if abs(booking.amount) < parts:
        booking.enter()
        return
    share, fee_share = booking.amount // parts, booking.fee // parts
    for _ in range(parts - 1):
        booking.enter(share, fee_share)
    booking.enter(booking.amount - share * (parts - 1), booking.fee - fee_share * (parts - 1))


def _garbled_reference(booking: _Booking) -> None:
    is_told = booking.recent_keys.get(tuple(booking.payment[name] for name in _KEY), 0) == 1
    booking.enter(**({"reference": None} if is_told else {}))


_BOOKED = {
    "missing_at_bank": _missing_at_bank,
    "late_posting": _late_posting,
    "missing_at_platform": _missing_at_platform,
    "amount_mismatch": _amount_mismatch,
    "fee_mismatch": _fee_mismatch,
    "duplicate_posting": _duplicate_posting,
    "reversed_at_bank": _reversed_at_bank,
    "split": _split,
    "garbled_reference": _garbled_reference,
}

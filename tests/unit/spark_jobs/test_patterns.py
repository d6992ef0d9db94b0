"""The three patterns: every threshold at its edge, and against a model that keeps rows instead of totals."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from expectations.thresholds import PatternThresholds
from spark_jobs.pattern_detector.patterns import FEMALE, MALE, OTHER, UNKNOWN, Bucket, CellRows, Flip, Pattern

NEVER = 10**9
ONLY_UPGRADE = PatternThresholds(upgrade_merchant_transactions=0, child_transactions=NEVER, dei_female_customers=NEVER)
ONLY_CHILD = PatternThresholds(upgrade_merchant_transactions=NEVER, child_transactions=80, dei_female_customers=NEVER)
ONLY_DEI = PatternThresholds(upgrade_merchant_transactions=NEVER, child_transactions=NEVER, dei_female_customers=2)

MAJOR = 10_000
"""One unit of a currency, or of weight, in the units of the arrays."""


@dataclass(frozen=True)
class Row:
    customer: str
    merchant: str = "m"
    gender: int = UNKNOWN
    amount: int = 100 * MAJOR
    weight: int = MAJOR


def cell_rows(number: int, rows: Sequence[Row]) -> CellRows:
    return CellRows(
        cell=number,
        merchants=[row.merchant for row in rows],
        customers=[row.customer for row in rows],
        genders=np.array([row.gender for row in rows], np.int8),
        amounts=np.array([row.amount for row in rows], np.int64),
        weights=np.array([row.weight for row in rows], np.int64),
        rows=np.arange(len(rows), dtype=np.int64),
    )


def fold_all(bucket: Bucket, cells: Iterable[Sequence[Row]], thresholds: PatternThresholds, begin=0) -> list[Flip]:
    return [
        flip
        for number, rows in enumerate(cells, begin)
        for flip in sorted(bucket.fold(cell_rows(number, rows), thresholds), key=lambda f: (f.first_row, f.pattern))
    ]


def flips_of(cells: Iterable[Sequence[Row]], thresholds: PatternThresholds) -> list[Flip]:
    return fold_all(Bucket(), cells, thresholds)


def raised(cells: Iterable[Sequence[Row]], thresholds: PatternThresholds) -> list[tuple[int, str]]:
    return [(flip.cell, flip.customer) for flip in flips_of(cells, thresholds) if flip.is_first]


def test_names_of_the_patterns():
    assert [(p.pattern_id, p.action_type, p.bit) for p in Pattern] == [
        ("PatId1", "UPGRADE", 1),
        ("PatId2", "CHILD", 2),
        ("PatId3", "DEI-NEEDED", 4),
    ]


# PatId1


def test_upgrade_needs_more_merchant_transactions_than_the_threshold():
    thresholds = PatternThresholds(50, child_transactions=NEVER, dei_female_customers=NEVER)
    assert raised([[Row("c")] * 50], thresholds) == []
    assert raised([[Row("c")] * 51], thresholds) == [(0, "c")]
    assert raised([[Row("c")] * 50, [Row("c")]], thresholds) == [(1, "c")]


def test_upgrade_counts_the_rows_of_all_customers_of_that_merchant_only():
    thresholds = PatternThresholds(3, child_transactions=NEVER, dei_female_customers=NEVER)
    others = [Row("x", merchant="other")] * 10
    assert raised([[Row("a"), Row("b"), Row("c"), *others]], thresholds) == [(0, "x")]
    assert raised([[Row("a"), Row("b"), Row("c"), Row("d")]], thresholds) == [(0, c) for c in "abcd"]


def test_upgrade_is_asked_only_of_pairs_that_occur_in_the_cell():
    cells = [[Row("idle")], [Row("busy")] * 3]
    thresholds = PatternThresholds(1, child_transactions=NEVER, dei_female_customers=NEVER)
    assert raised(cells, thresholds) == [(1, "busy")]
    assert raised([*cells, [Row("idle")] * 2], thresholds) == [(1, "busy"), (2, "idle")]


def test_upgrade_at_interpolated_percentiles():
    """Of 1 to 12 transactions the 90th percentile is 10.9, and of weights 1 to 12 the 10th is 2.1."""

    def rows(counts_by_weight: dict[int, int]) -> list[Row]:
        return [Row(f"c{w}", weight=w * MAJOR) for w, count in counts_by_weight.items() for _ in range(count)]

    falling = {weight: 13 - weight for weight in range(1, 13)}
    assert raised([rows(falling)], ONLY_UPGRADE) == [(0, "c1"), (0, "c2")]
    # The one with 10 transactions stays below 10.9, however light.
    assert raised([rows(falling | {2: 10, 3: 11})], ONLY_UPGRADE) == [(0, "c1")]


def test_upgrade_gives_each_customer_one_vote():
    """With one vote per row nobody but the heavy customer would reach the 90th percentile."""
    rows = [Row("heavy", weight=1)] * 100 + [Row(f"c{n}", weight=n * MAJOR) for n in range(1, 11)]
    assert raised([rows], ONLY_UPGRADE) == [(0, "heavy"), (0, "c1")]


@st.composite
def customers_of_a_merchant(draw: st.DrawFn) -> list[tuple[int, int]]:
    """(transactions, sum of weights) by customer; with few distinct values, so that there are ties."""
    size = draw(st.integers(1, 45))
    counts = st.lists(st.integers(1, draw(st.sampled_from([2, 5, 10_000]))), min_size=size, max_size=size)
    sums = st.lists(st.integers(-2, draw(st.sampled_from([3, 50, 10**10]))), min_size=size, max_size=size)
    return [*zip(draw(counts), draw(sums), strict=True)]


def percentile(values: Iterable[Fraction], decile: int) -> Fraction:
    """With linear interpolation between the two neighbours of the rank, exactly."""
    ordered = sorted(values)
    rank = Fraction(decile, 10) * (len(ordered) - 1)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (rank - below) * (ordered[above] - ordered[below])


def upgraded(customers: Sequence[tuple[int, int]]) -> set[str]:
    """Whom the bucket upgrades when each of them has come to so many transactions and so much weight."""
    bucket, names = Bucket(), [f"c{place}" for place in range(len(customers))]
    restore(bucket, [stored(name, count - 1, total) for name, (count, total) in zip(names, customers, strict=True)])
    flips = bucket.fold(cell_rows(1, [Row(name, weight=0) for name in names]), ONLY_UPGRADE)
    return {flip.customer for flip in flips}


@given(customers_of_a_merchant())
@example([(1, 1)])
@example([(1, 3), (3, 10), (10, 33)])
def test_upgrade_is_exactly_the_percentile_rule(customers):
    averages = [Fraction(total, count) for count, total in customers]
    many = percentile((Fraction(count) for count, _ in customers), 9)
    light = percentile(averages, 1)
    expected = {f"c{place}" for place, (count, _) in enumerate(customers) if count >= many and averages[place] <= light}
    assert upgraded(customers) == expected


@given(customers_of_a_merchant())
def test_the_percentile_rule_is_that_of_numpy(customers):
    """NumPy interpolates in floating point, so only values that are not within rounding of its answer can decide."""
    counts, totals = (np.array(values, float) for values in zip(*customers, strict=True))
    averages = totals / counts
    many, light = np.quantile(counts, 0.9), np.quantile(averages, 0.1)
    near = 1e-9 * (1 + np.abs(averages).max())
    certain = upgraded(customers)
    for place in range(len(customers)):
        if counts[place] >= many + 1e-9 and averages[place] <= light - near:
            assert f"c{place}" in certain
        if counts[place] <= many - 1e-9 or averages[place] >= light + near:
            assert f"c{place}" not in certain


# PatId2


def test_child_needs_enough_transactions():
    cheap = Row("c", amount=22 * MAJOR)
    assert raised([[cheap] * 79], ONLY_CHILD) == []
    assert raised([[cheap] * 80], ONLY_CHILD) == [(0, "c")]
    assert raised([[cheap] * 79, [cheap]], ONLY_CHILD) == [(1, "c")]


def test_child_needs_an_average_below_23_exactly():
    at_limit = [Row("c", amount=23 * MAJOR)] * 79
    assert raised([[*at_limit, Row("c", amount=23 * MAJOR)]], ONLY_CHILD) == []
    assert raised([[*at_limit, Row("c", amount=23 * MAJOR - 1)]], ONLY_CHILD) == [(0, "c")]


def test_child_compares_large_sums_exactly():
    """The average misses 23 by less than a double can tell."""
    huge = 4 * 10**16
    rows = [Row("c", amount=23 * MAJOR)] * 78 + [Row("c", amount=23 * MAJOR + huge), Row("c", amount=23 * MAJOR - huge)]
    assert raised([rows], ONLY_CHILD) == []
    cheaper = Row("c", amount=23 * MAJOR - huge - 1)
    assert raised([[*rows[:-1], cheaper]], ONLY_CHILD) == [(0, "c")]


def test_child_counts_refunds_as_they_are():
    """A refund is a transaction of a negative amount, and so lowers the average."""
    dear = [Row("c", amount=25 * MAJOR)] * 79
    assert raised([[*dear, Row("c", amount=-25 * MAJOR)]], ONLY_CHILD) == []
    assert raised([[*dear, Row("c", amount=-200 * MAJOR)]], ONLY_CHILD) == [(0, "c")]


def test_child_is_of_one_customer_with_one_merchant():
    rows = [Row("c", merchant=m, amount=MAJOR) for m in "ab"] * 40
    assert raised([rows], ONLY_CHILD) == []


# PatId3


def test_dei_needs_more_women_than_the_threshold_and_fewer_than_men():
    def cell(women: int, men: int) -> list[Row]:
        return [Row(f"w{n}", gender=FEMALE) for n in range(women)] + [Row(f"m{n}", gender=MALE) for n in range(men)]

    assert raised([cell(2, 9)], ONLY_DEI) == []
    assert raised([cell(3, 3)], ONLY_DEI) == []
    assert raised([cell(3, 4)], ONLY_DEI) == [(0, "")]


def test_dei_is_a_matter_of_the_merchant_at_its_first_row():
    women = [Row(f"w{n}", gender=FEMALE) for n in range(3)]
    men = [Row(f"m{n}", gender=MALE) for n in range(4)]
    other = [Row("x", merchant="other")] * 2
    (flip,) = flips_of([women, [*other, *men]], ONLY_DEI)
    assert flip == Flip(1, 2, Pattern.DEI_NEEDED, "", "m", holds=True, is_first=True)


def test_dei_counts_distinct_customers_by_their_first_gender():
    men = [Row(f"m{n}", gender=MALE) for n in range(4)]
    women = [Row(f"w{n}", gender=FEMALE) for n in range(2)]
    third = Row("w2", gender=FEMALE)
    assert raised([[*men, *women, *women]], ONLY_DEI) == []
    assert raised([[*men, *women, third]], ONLY_DEI) == [(0, "")]
    # First none, then a woman: a woman. First a man, then a woman: a man.
    assert raised([[*men, *women, Row("w2")], [third]], ONLY_DEI) == [(1, "")]
    assert raised([[*men, *women, Row("w2"), third]], ONLY_DEI) == [(0, "")]
    assert raised([[*men, *women, Row("w2", gender=MALE)], [third]], ONLY_DEI) == []
    assert raised([[*men, *women, Row("w2", gender=MALE), third]], ONLY_DEI) == []


def test_dei_counts_others_in_neither_and_for_good():
    men = [Row(f"m{n}", gender=MALE) for n in range(4)]
    women = [Row(f"w{n}", gender=FEMALE) for n in range(3)]
    firms = [Row(f"e{n}", gender=OTHER) for n in range(9)]
    assert raised([[*men[:3], *women, *firms]], ONLY_DEI) == []
    assert raised([[*men, *women, *firms]], ONLY_DEI) == [(0, "")]
    # An enterprise stays one, whatever it calls itself later.
    assert raised([[*men, *women[:2], Row("w2", gender=OTHER)], [women[2]]], ONLY_DEI) == []


# All of them


def test_a_pattern_is_raised_once_however_often_it_flips():
    thresholds = PatternThresholds(NEVER, child_transactions=1, dei_female_customers=NEVER)
    cells = [[Row("c", amount=amount * MAJOR)] for amount in (22, 24, 1, 100, 0, 0, 0, 0)]
    flips = flips_of(cells, thresholds)
    assert [(f.cell, f.holds, f.is_first) for f in flips] == [
        (0, True, True),
        (1, False, False),
        (2, True, False),
        (3, False, False),
        (6, True, False),
    ]


def test_an_empty_cell_changes_nothing():
    bucket = Bucket()
    assert bucket.fold(cell_rows(0, []), ONLY_CHILD) == []
    assert bucket.size == 0


@dataclass
class RowKeeper:
    """The patterns as the specification words them: it remembers rows, and counts them anew in every cell."""

    thresholds: PatternThresholds
    rows: list[Row] = field(default_factory=list)
    holding: set[tuple[Pattern, str, str]] = field(default_factory=set)
    ever: set[tuple[Pattern, str, str]] = field(default_factory=set)

    def fold(self, number: int, cell: Sequence[Row]) -> list[Flip]:
        self.rows += cell
        flips = []
        for place, row in enumerate(cell):
            keys = [(Pattern.UPGRADE, row.customer), (Pattern.CHILD, row.customer), (Pattern.DEI_NEEDED, "")]
            for pattern, customer in keys:
                key = (pattern, customer, row.merchant)
                holds = self._holds(*key)
                if holds != (key in self.holding):
                    flips.append(Flip(number, place, *key, holds=holds, is_first=holds and key not in self.ever))
                    self.holding ^= {key}
                    self.ever.add(key)
        return flips

    def _holds(self, pattern: Pattern, customer: str, merchant: str) -> bool:
        of_merchant = [row for row in self.rows if row.merchant == merchant]
        mine = [row for row in of_merchant if row.customer == customer]
        if pattern is Pattern.DEI_NEEDED:
            genders = Counter(self._genders(of_merchant).values())
            return self.thresholds.dei_female_customers < genders[FEMALE] < genders[MALE]
        if pattern is Pattern.CHILD:
            limit = self.thresholds.child_average_major * MAJOR
            average = Fraction(sum(row.amount for row in mine), len(mine))
            return len(mine) >= self.thresholds.child_transactions and average < limit
        if len(of_merchant) <= self.thresholds.upgrade_merchant_transactions:
            return False
        counts = Counter(row.customer for row in of_merchant)
        averages = {
            name: Fraction(sum(row.weight for row in of_merchant if row.customer == name), count)
            for name, count in counts.items()
        }
        return counts[customer] >= percentile(map(Fraction, counts.values()), 9) and averages[customer] <= percentile(
            averages.values(), 1
        )

    @staticmethod
    def _genders(rows: Iterable[Row]) -> dict[str, int]:
        first: dict[str, int] = {}
        for row in rows:
            if row.gender != UNKNOWN:
                first.setdefault(row.customer, row.gender)
        return first


TINY = PatternThresholds(
    upgrade_merchant_transactions=3, child_transactions=2, child_average_major=1, dei_female_customers=0
)

A_ROW = st.builds(
    Row,
    customer=st.sampled_from("abcde"),
    merchant=st.sampled_from("mn"),
    gender=st.sampled_from([UNKNOWN, FEMALE, MALE, OTHER]),
    amount=st.sampled_from([-MAJOR, 0, MAJOR - 1, MAJOR, MAJOR + 1, 3 * MAJOR]),
    weight=st.integers(-1, 3),
)
CELLS = st.lists(st.lists(A_ROW, max_size=8), max_size=8)


@given(CELLS)
def test_flips_are_those_of_the_specification(cells):
    model = RowKeeper(TINY)
    expected = [flip for number, cell in enumerate(cells) for flip in model.fold(number, cell)]
    assert flips_of(cells, TINY) == expected


def stored(customer: str, transactions: int, weight_sum: int) -> dict[str, object]:
    """A stored pair of the merchant `m` that nothing was raised for."""
    return {
        "merchants": "m", "customers": customer, "cells": 0, "transactions": transactions, "amount_sums": 0,
        "weight_sums": weight_sum, "genders": UNKNOWN, "raised": 0, "holding": 0,
    }  # fmt: skip


def restore(bucket: Bucket, rows: Sequence[dict[str, object]]) -> None:
    columns = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
    small = ("genders", "raised", "holding")
    bucket.restore(
        **{
            name: values
            if name in ("merchants", "customers")
            else np.array(values, np.int8 if name in small else np.int64)
            for name, values in columns.items()
        }
    )


def totals(bucket: Bucket, at: Iterable[int] | None = None) -> list[dict[str, object]]:
    """What is stored of each pair."""
    return [
        {
            "merchants": bucket.pairs[place][0],
            "customers": bucket.pairs[place][1],
            "cells": int(bucket.cell[place]),
            "transactions": int(bucket.transactions[place]),
            "amount_sums": int(bucket.amount_sum[place]),
            "weight_sums": int(bucket.weight_sum[place]),
            "genders": int(bucket.gender[place]),
            "raised": int(bucket.raised[place]),
            "holding": int(bucket.holding[place]),
        }
        for place in (range(bucket.size) if at is None else at)
    ]


def in_order(rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(rows, key=lambda row: (row["merchants"], row["customers"]))


@given(CELLS, st.data())
def test_a_restored_bucket_goes_on_like_one_that_never_stopped(cells, data):
    """Restored at any cell, from stored pairs in any order."""
    stop = data.draw(st.integers(0, len(cells)))
    whole, first, second = Bucket(), Bucket(), Bucket()
    expected = fold_all(whole, cells, TINY)
    flips = fold_all(first, cells[:stop], TINY)
    kept = data.draw(st.permutations(totals(first)))
    if kept:
        restore(second, kept)
    assert flips + fold_all(second, cells[stop:], TINY, begin=stop) == expected
    assert in_order(totals(second)) == in_order(totals(whole))


@given(CELLS, st.data())
def test_a_bucket_catches_up_with_what_was_touched_since(cells, data):
    """Two that take turns, each given only the pairs that the other one touched."""
    behind, ahead = sorted(data.draw(st.tuples(st.integers(0, len(cells)), st.integers(0, len(cells)))))
    mine, other = Bucket(), Bucket()
    fold_all(mine, cells[:behind], TINY)
    fold_all(other, cells[:ahead], TINY)
    touched = totals(other, other.touched_since(behind).tolist())
    assert {row["cells"] for row in touched} <= set(range(behind, ahead))
    if touched:
        restore(mine, touched)
    assert in_order(totals(mine)) == in_order(totals(other))
    rest = [fold_all(bucket, cells[ahead:], TINY, begin=ahead) for bucket in (mine, other)]
    assert rest[0] == rest[1]


@given(CELLS)
def test_merchants_are_independent(cells):
    """Two buckets with a merchant each find what one with both finds."""
    apart = []
    for merchant in "mn":
        bucket = Bucket()
        for number, cell in enumerate(cells):
            both = cell_rows(number, cell)
            mine = np.flatnonzero(np.array([name == merchant for name in both.merchants], bool))
            rows = CellRows(
                number,
                [both.merchants[place] for place in mine],
                [both.customers[place] for place in mine],
                both.genders[mine], both.amounts[mine], both.weights[mine], both.rows[mine],
            )  # fmt: skip
            apart += bucket.fold(rows, TINY)
    assert sorted(apart, key=lambda f: (f.cell, f.first_row, f.pattern)) == flips_of(cells, TINY)

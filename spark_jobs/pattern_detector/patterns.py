"""The three patterns, on plain arrays: no Spark, no files.

A bucket holds the cumulative totals of every (customer, merchant) pair of some merchants. Folding in one grid cell
updates the totals, evaluates the pairs that occur in the cell, and tells what began or ceased to hold. Everything
is integer arithmetic on sums, so the result does not depend on how rows were batched.
"""

from array import array
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from expectations.currencies import FIXED_POINT_SCALE
from expectations.thresholds import PATTERNS, PatternThresholds


class Pattern(IntEnum):
    """Each pattern, with the number in its identifier."""

    UPGRADE = 1
    CHILD = 2
    DEI_NEEDED = 3

    @property
    def pattern_id(self) -> str:
        return f"PatId{self.value}"

    @property
    def action_type(self) -> str:
        return self.name.replace("_", "-")

    @property
    def bit(self) -> int:
        return 1 << (self.value - 1)


UNKNOWN, FEMALE, MALE, OTHER = range(4)
GENDER_CODES = {"F": FEMALE, "M": MALE}

MERCHANT_ITSELF = ""
"""The customer of a merchant's own entry, which carries what concerns the merchant as a whole."""


@dataclass(frozen=True)
class CellRows:
    """The rows of one grid cell that belong to one bucket, in the log's order; all arrays have one length.

    Attributes:
        merchants, customers: str.
        genders: int8, UNKNOWN where the row has none.
        amounts: int64, 1/10,000 of the currency.
        weights: int64, 1/10,000.
        rows: int64, ascending; a row's place among those of the cell.
    """

    cell: int
    merchants: list[str]
    customers: list[str]
    genders: np.ndarray
    amounts: np.ndarray
    weights: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Flip:
    """A pattern that began or ceased to hold.

    Attributes:
        first_row: the pair's first row in the cell (for PatId3 the merchant's).
        is_first: it never held before, so that it is a detection.
    """

    cell: int
    first_row: int
    pattern: Pattern
    customer: str
    merchant: str
    holds: bool
    is_first: bool


class Bucket:
    """Totals of all pairs of some merchants.

    Attributes (int64 unless said; one element per pair, and one per merchant itself):
        transactions, amount_sum, weight_sum: totals so far.
        gender: int8, the first one seen.
        raised, holding: int8, bits of `Pattern`.
        cell: the last cell that touched the pair.
    """

    def __init__(self) -> None:
        self._index: dict[tuple[str, str], int] = {}
        self.pairs: list[tuple[str, str]] = []
        self.size = 0
        self.merchant_of = np.zeros(0, np.int64)
        self.transactions = np.zeros(0, np.int64)
        self.amount_sum = np.zeros(0, np.int64)
        self.weight_sum = np.zeros(0, np.int64)
        self.cell = np.zeros(0, np.int64)
        self.gender = np.zeros(0, np.int8)
        self.raised = np.zeros(0, np.int8)
        self.holding = np.zeros(0, np.int8)
        # Of merchants, at the index of the merchant itself.
        self.females = np.zeros(0, np.int64)
        self.males = np.zeros(0, np.int64)
        self._customers_of: dict[int, array] = {}

    _ARRAYS = (
        "merchant_of",
        "transactions",
        "amount_sum",
        "weight_sum",
        "cell",
        "gender",
        "raised",
        "holding",
        "females",
        "males",
    )

    def index_of(self, merchant: str, customer: str) -> int:
        """The place of a pair, which is made if it is new."""
        found = self._index.get((merchant, customer))
        if found is not None:
            return found
        merchant_index = self.index_of(merchant, MERCHANT_ITSELF) if customer != MERCHANT_ITSELF else self.size
        index = self.size
        if index == len(self.transactions):
            self._grow()
        self._index[merchant, customer] = index
        self.pairs.append((merchant, customer))
        self.size += 1
        self.merchant_of[index] = merchant_index
        if customer != MERCHANT_ITSELF:
            self._customers_of.setdefault(merchant_index, array("q")).append(index)
        return index

    def _grow(self) -> None:
        capacity = max(1024, 2 * self.size)
        for name in self._ARRAYS:
            old = getattr(self, name)
            new = np.zeros(capacity, old.dtype)
            new[: self.size] = old[: self.size]
            setattr(self, name, new)

    def restore(
        self,
        merchants: list[str],
        customers: list[str],
        cells: np.ndarray,
        transactions: np.ndarray,
        amount_sums: np.ndarray,
        weight_sums: np.ndarray,
        genders: np.ndarray,
        raised: np.ndarray,
        holding: np.ndarray,
    ) -> None:
        """Takes over stored totals, each pair at most once. Newer totals replace older ones."""
        at = np.array(
            [self.index_of(merchant, customer) for merchant, customer in zip(merchants, customers, strict=True)],
            np.int64,
        )
        if len(at) == 0:
            return
        self._count_genders(at, genders)
        self.transactions[at], self.amount_sum[at], self.weight_sum[at] = transactions, amount_sums, weight_sums
        self.cell[at], self.raised[at], self.holding[at] = cells, raised, holding

    def fold(self, rows: CellRows, thresholds: PatternThresholds = PATTERNS) -> list[Flip]:
        """Adds the rows of the next cell and evaluates the pairs in it."""
        of_row = np.array([self.index_of(m, c) for m, c in zip(rows.merchants, rows.customers, strict=True)], np.int64)
        if len(of_row) == 0:
            return []
        pairs, first = np.unique(of_row, return_index=True)
        merchants, merchant_first = np.unique(self.merchant_of[of_row], return_index=True)
        np.add.at(self.transactions, of_row, 1)
        np.add.at(self.transactions, self.merchant_of[of_row], 1)
        np.add.at(self.amount_sum, of_row, rows.amounts)
        np.add.at(self.weight_sum, of_row, rows.weights)
        known = np.flatnonzero(rows.genders != UNKNOWN)
        seen, at = np.unique(of_row[known], return_index=True)
        self._count_genders(seen, rows.genders[known][at])
        self.cell[pairs] = rows.cell
        self.cell[merchants] = rows.cell
        upgrade, child = self._upgrades(pairs, merchants, thresholds), self._children(pairs, thresholds)
        pair_bits = upgrade * np.int8(Pattern.UPGRADE.bit) + child * np.int8(Pattern.CHILD.bit)
        dei = self._dei_needed(merchants, thresholds)
        flips = self._switch(rows, pairs, first, pair_bits, (Pattern.UPGRADE, Pattern.CHILD))
        return flips + self._switch(
            rows, merchants, merchant_first, dei * np.int8(Pattern.DEI_NEEDED.bit), (Pattern.DEI_NEEDED,)
        )

    def touched_since(self, cell: int) -> np.ndarray:
        """The places of the pairs that `cell` or a later one touched."""
        return np.flatnonzero(self.cell[: self.size] >= cell)

    def _count_genders(self, pairs: np.ndarray, genders: np.ndarray) -> None:
        """Notes the gender of pairs that have none yet, and counts them with their merchant."""
        is_new = (self.gender[pairs] == UNKNOWN) & (genders != UNKNOWN)
        pairs, genders = pairs[is_new], genders[is_new]
        self.gender[pairs] = genders
        np.add.at(self.females, self.merchant_of[pairs[genders == FEMALE]], 1)
        np.add.at(self.males, self.merchant_of[pairs[genders == MALE]], 1)

    def _upgrades(self, pairs: np.ndarray, merchants: np.ndarray, thresholds: PatternThresholds) -> np.ndarray:
        """PatId1, as bool per pair.

        With linear interpolation the percentile lies between two neighbours of the sorted values, and no value lies
        strictly between those. So "at least the 90th percentile" is "at least the upper neighbour" (the one at the
        ceiling of its rank), and "at most the 10th" is "at most the lower one": exact, without interpolating.
        """
        holds = np.zeros(len(pairs), bool)
        for merchant in merchants[self.transactions[merchants] > thresholds.upgrade_merchant_transactions]:
            customers = np.frombuffer(self._customers_of[int(merchant)], np.int64)
            counts = self.transactions[customers]
            weights = self.weight_sum[customers] / counts
            last = len(customers) - 1
            upper = -(-last * thresholds.upgrade_count_decile // 10)
            lower = last * thresholds.upgrade_weight_decile // 10
            least_count = np.partition(counts, upper)[upper]
            most_weight = np.partition(weights, lower)[lower]
            of_merchant = np.flatnonzero(self.merchant_of[pairs] == merchant)
            candidates = pairs[of_merchant]
            holds[of_merchant] = (self.transactions[candidates] >= least_count) & (
                self.weight_sum[candidates] / self.transactions[candidates] <= most_weight
            )
        return holds

    def _children(self, pairs: np.ndarray, thresholds: PatternThresholds) -> np.ndarray:
        """PatId2, as bool per pair: the mean is compared without dividing."""
        counts = self.transactions[pairs]
        limit = thresholds.child_average_major * FIXED_POINT_SCALE
        return (counts >= thresholds.child_transactions) & (self.amount_sum[pairs] < limit * counts)

    def _dei_needed(self, merchants: np.ndarray, thresholds: PatternThresholds) -> np.ndarray:
        """PatId3, as bool per merchant."""
        females = self.females[merchants]
        return (females > thresholds.dei_female_customers) & (females < self.males[merchants])

    def _switch(
        self, rows: CellRows, at: np.ndarray, first: np.ndarray, bits: np.ndarray, patterns: tuple[Pattern, ...]
    ) -> list[Flip]:
        """Notes what holds now and returns what changed."""
        flips = []
        changed = self.holding[at] ^ bits
        for pattern in patterns:
            for place in np.flatnonzero(changed & pattern.bit).tolist():
                merchant, customer = self.pairs[at[place]]
                holds = bool(bits[place] & pattern.bit)
                is_first = holds and not self.raised[at[place]] & pattern.bit
                row = int(rows.rows[first[place]])
                flips.append(Flip(rows.cell, row, pattern, customer, merchant, holds, is_first))
        self.holding[at] = bits
        self.raised[at] |= bits
        return flips

"""Great Expectations suites, generated from the contract: what a stretch of a table must be like, and not drift to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from expectations.engine import great_expectations
from expectations.schema import DataType, Field, TableSchema
from expectations.thresholds import QUALITY, QualityThresholds

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

KNOWN = "_is_known"
"""Ending of the columns that say, beside a reference, whether what it names is there."""


@dataclass(frozen=True)
class Numbers:
    """A numeric column in plain numbers."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Profile:
    """What a table was like before, as the bounds for what comes.

    Attributes:
        rows_lowest, rows_highest: rows of its least and of its busiest stretch; stretches are equally long.
        null_shares: of each nullable column, how much is null (0 to 1).
        shares: of each categorical column, how much has each value (sums to 1 without nulls).
        numbers: of each numeric column, its mean and standard deviation.
    """

    rows_lowest: int
    rows_highest: int
    null_shares: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    numbers: Mapping[str, Numbers] = field(default_factory=dict)


def contract_expectations(
    table: TableSchema, references: Sequence[str] = (), thresholds: QualityThresholds = QUALITY
) -> "list[Expectation]":
    """What the contract says of a table: no nulls, allowed values, ranges, a unique key, known references.

    Args:
        table: the contract. The frame has its columns.
        references: columns that name a row of the table; beside each, the frame has a boolean column with the
            ending `KNOWN`, null where the reference is.
        thresholds: how many references must be known.
    """
    gx = great_expectations().expectations

    found = [expectation for column in table.fields for expectation in _of_column(column)]
    if len(table.key) == 1:
        found.append(gx.ExpectColumnValuesToBeUnique(column=table.key[0]))
    elif table.key:
        found.append(gx.ExpectCompoundColumnsToBeUnique(column_list=list(table.key)))
    return found + [
        gx.ExpectColumnValuesToBeInSet(
            column=reference + KNOWN, value_set=[True], mostly=thresholds.known_reference_share
        )
        for reference in references
    ]


def drift_expectations(
    profile: Profile, sampled_share: float = 1.0, thresholds: QualityThresholds = QUALITY
) -> "list[Expectation]":
    """That volume, null shares, categories and means are what they were.

    Args:
        profile: what the table was like before.
        sampled_share: how much of the stretch the frame holds.
        thresholds: how far each may move.
    """
    gx = great_expectations().expectations

    volume = gx.ExpectTableRowCountToBeBetween(
        min_value=int(profile.rows_lowest * thresholds.volume_low_factor * sampled_share),
        max_value=int(profile.rows_highest * thresholds.volume_high_factor * sampled_share) + 1,
    )
    nulls = [
        gx.ExpectColumnProportionOfNonNullValuesToBeBetween(
            column=column,
            min_value=max(0.0, 1 - share - thresholds.null_share_shift),
            max_value=min(1.0, 1 - share + thresholds.null_share_shift),
        )
        for column, share in profile.null_shares.items()
    ]
    categories = [
        gx.ExpectColumnKLDivergenceToBeLessThan(
            column=column,
            partition_object={"values": list(shares), "weights": list(shares.values())},
            threshold=thresholds.kl_divergence,
            # A value that is new, but rare, is no drift.
            tail_weight_holdout=thresholds.new_value_weight,
        )
        for column, shares in profile.shares.items()
    ]
    means = [
        gx.ExpectColumnMeanToBeBetween(
            column=column,
            min_value=numbers.mean - thresholds.mean_shift_deviations * numbers.deviation,
            max_value=numbers.mean + thresholds.mean_shift_deviations * numbers.deviation,
        )
        for column, numbers in profile.numbers.items()
    ]
    return [volume, *nulls, *categories, *means]


def _of_column(column: Field) -> "Iterator[Expectation]":
    gx = great_expectations().expectations

    if not column.nullable:
        yield gx.ExpectColumnValuesToNotBeNull(column=column.name)
    if column.allowed:
        yield gx.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.allowed))
    if (column.minimum is not None or column.maximum is not None) and column.type is not DataType.STRINGS:
        yield gx.ExpectColumnValuesToBeBetween(column=column.name, min_value=column.minimum, max_value=column.maximum)

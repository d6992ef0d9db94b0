"""Every number that decides something, declared once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

CHUNK_SIZE_ROWS = 10_000
"""Entries per cell of the pattern grid, and at most per chunk."""

DETECTIONS_PER_FILE = 50

FINGERPRINT_BYTES = 64 * 1024
"""How much of a log's head, and of what lies before the offset, identifies it."""

MAX_ENTRY_BYTES = 64 * 1024
"""A record that is longer, or does not close its quotes within so many bytes, is malformed."""

CHUNKER_INTERVAL_SECONDS = 5
OFFSET_STALE_SECONDS = 60
"""The watchdog warns when the source has grown but the offset has not moved for so long."""

DETECTION_LAG_SECONDS = 30
"""The lag check fails when a complete grid cell waits longer than this for its detections."""

LEASE_SECONDS = 30
"""A streaming run that has not renewed its lease for so long counts as dead."""


@dataclass(frozen=True)
class PatternThresholds:
    """When the three patterns hold; all within one merchant, on cumulative state.

    Attributes:
        upgrade_merchant_transactions: PatId1, the merchant has more rows than this.
        upgrade_count_decile: PatId1, the customer's row count reaches this decile (9 = 90th percentile).
        upgrade_weight_decile: PatId1, the customer's mean weight is at most this decile (1 = 10th percentile).
        child_transactions: PatId2, the customer has at least so many rows with the merchant.
        child_average_major: PatId2, their mean amount is below this, in whole units of the currency.
        dei_female_customers: PatId3, the merchant has more distinct female customers than this,
            and fewer than its distinct male ones.
    """

    upgrade_merchant_transactions: int = 50_000
    upgrade_count_decile: int = 9
    upgrade_weight_decile: int = 1
    child_transactions: int = 80
    child_average_major: int = 23
    dei_female_customers: int = 100


PATTERNS = PatternThresholds()


@dataclass(frozen=True)
class MedallionThresholds:
    """What the rules of silver and gold go by. dbt has them as variables of the same names.

    Attributes:
        risk_high_above, risk_medium_above: fraud score beyond which a payment's risk is HIGH, or MEDIUM.
        amount_small_from_major, amount_medium_from_major, amount_large_from_major: whole units of the currency from
            which on an amount is small, medium, large; below it is micro.
        composite_fraud_weight, composite_aml_weight, composite_device_weight: weights of the composite risk score.
        future_tolerance_seconds: how far an event may lie after its ingestion; clocks differ.
        business_time_zone, business_cutoff_hour: a business day begins at this local hour.
        histogram_base: factor from one histogram bucket to the next; percentiles are within half of it.
        live_within_seconds: while the latest event is no older than this, the company is at work, and now is the wall
            clock.
        recovery_min_attempts: how many retries of a decline reason have been seen before its rate of success counts.
        alert_min_events: an hour alerts only if so many events speak for it.
        alert_approval_rate_drop: by how much the approval rate may fall below what is usual, in absolute terms.
        alert_decline_spike, alert_fraud_spike, alert_latency: by which part of what is usual a decline reason's
            share, the mean fraud score and the 95th percentile of latency may exceed it. Twice as much is critical.
    """

    risk_high_above: float = 0.75
    risk_medium_above: float = 0.35
    amount_small_from_major: int = 50
    amount_medium_from_major: int = 200
    amount_large_from_major: int = 500
    composite_fraud_weight: float = 0.5
    composite_aml_weight: float = 0.3
    composite_device_weight: float = 0.2
    future_tolerance_seconds: int = 300
    business_time_zone: str = "UTC"
    business_cutoff_hour: int = 0
    histogram_base: float = 1.05
    live_within_seconds: int = 3600
    recovery_min_attempts: int = 20
    alert_min_events: int = 30
    alert_approval_rate_drop: float = 0.05
    alert_decline_spike: float = 1.0
    alert_fraud_spike: float = 0.5
    alert_latency: float = 0.5


MEDALLION = MedallionThresholds()

MEDALLION_LAG_SECONDS = 15
"""The lag check fails when what landed in bronze is published later than this."""


@dataclass(frozen=True)
class QualityThresholds:
    """How far a day of silver may be from the week before it.

    Attributes:
        week_days: how many days the week has.
        volume_low_factor, volume_high_factor: of the least and of the busiest day's rows.
        null_share_shift: how much a column's share of nulls may move.
        kl_divergence: Kullback-Leibler divergence of a column's values from those of the week, in nats. A
            category that doubles from a tenth gives 0.04.
        new_value_weight: what share a value that the week did not have is expected to have.
        mean_shift_deviations: how far a mean may move, in standard deviations of a single row.
        known_reference_share: how many of the events that name another one must name one that is in silver: the
            other may be in quarantine, or older than the log.
        judged_rows: of how many values a column needs to have, for its distribution to be compared.
        sampled_rows: a larger day is sampled down to so many rows.
    """

    week_days: int = 7
    volume_low_factor: float = 0.5
    volume_high_factor: float = 2.0
    null_share_shift: float = 0.1
    kl_divergence: float = 0.1
    new_value_weight: float = 0.001
    mean_shift_deviations: float = 0.25
    known_reference_share: float = 0.95
    judged_rows: int = 1_000
    sampled_rows: int = 200_000


QUALITY = QualityThresholds()


FIRST_BUSINESS_DATE = "2026-01-01"
"""No business day before it is reconciled."""

NIGHTLY_FINANCE_MINUTES = 30
"""So long after the cut-off the nightly reconciliation starts."""


@dataclass(frozen=True)
class FinancePolicy:
    """By what a business day is reconciled and judged. Every manifest holds all of it, so that a day can be replayed.

    Attributes:
        time_zone, cutoff_hour: when a business day begins.
        bank_date_basis: of which day an entry of the bank is: `booking_date`, when it is booked; or `value_date`, from
            when it counts, but not before it is booked.
        composite_window_days: how far the value date of an entry without a known reference may be from the business
            date of the payment that it is matched with.
        fx_rounding_minor: by how much a payout in another currency may be off through rounding; beyond it, the payout
            itself is wrong.
        explained_within_days: a break explains its difference while it is no older than this; then it needs a
            controller.
        tolerance_minor: how much of each currency may be unexplained, in its minor units; a currency that is not
            named has none.
    """

    time_zone: str = MEDALLION.business_time_zone
    cutoff_hour: int = MEDALLION.business_cutoff_hour
    bank_date_basis: str = "booking_date"
    composite_window_days: int = 3
    fx_rounding_minor: int = 1
    explained_within_days: int = 5
    tolerance_minor: Mapping[str, int] = field(default_factory=dict)


FINANCE = FinancePolicy()

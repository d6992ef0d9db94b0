"""Every number that decides something, declared once."""

from dataclasses import dataclass

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
    """What the enrichment and validity rules of silver go by. dbt has them as variables of the same names.

    Attributes:
        risk_high_above, risk_medium_above: fraud score beyond which a payment's risk is HIGH, or MEDIUM.
        amount_small_from_major, amount_medium_from_major, amount_large_from_major: whole units of the currency from
            which on an amount is small, medium, large; below it is micro.
        composite_fraud_weight, composite_aml_weight, composite_device_weight: weights of the composite risk score.
        future_tolerance_seconds: how far an event may lie after its ingestion; clocks differ.
        business_time_zone, business_cutoff_hour: a business day begins at this local hour.
        histogram_base: factor from one histogram bucket to the next; percentiles are within half of it.
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


MEDALLION = MedallionThresholds()

MEDALLION_LAG_SECONDS = 15
"""The lag check fails when what landed in bronze is published later than this."""

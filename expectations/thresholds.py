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

"""Business days as Dagster's partitions, and when the night's work begins."""

import dagster as dg

from expectations.thresholds import FINANCE, FIRST_BUSINESS_DATE, NIGHTLY_FINANCE_MINUTES

BUSINESS_DAYS = dg.DailyPartitionsDefinition(
    start_date=FIRST_BUSINESS_DATE, timezone=FINANCE.time_zone, hour_offset=FINANCE.cutoff_hour
)

NIGHTLY_CRON = f"{NIGHTLY_FINANCE_MINUTES} {FINANCE.cutoff_hour} * * *"
"""In the business time zone: so long after the cut-off."""

DAYS_IN_ORDER = "finance_days"
"""The pool whose runs take turns, also in a backfill: each day starts from what the day before left."""

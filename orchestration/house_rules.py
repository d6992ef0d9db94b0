"""What all assets of the platform have in common, declared once: owners, retries, freshness."""

from datetime import timedelta

import dagster as dg

from expectations.thresholds import FINANCE

DATA_ENGINEERS = ["team:data-engineering"]
FINANCE_TEAM = ["team:finance"]

RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

LIVE = dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=10), fail_window=timedelta(hours=1))
"""For what a live platform renews all the time."""

DAILY = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=25), fail_window=timedelta(hours=49))
"""For housekeeping that a schedule does once a day or oftener."""

_HOURS_FOR_A_NIGHT = 3

NIGHTLY = dg.FreshnessPolicy.cron(
    deadline_cron=f"0 {(FINANCE.cutoff_hour + _HOURS_FOR_A_NIGHT) % 24} * * *",
    lower_bound_delta=timedelta(hours=_HOURS_FOR_A_NIGHT),
    timezone=FINANCE.time_zone,
)
"""For what comes once a business day, in the hours after its cut-off."""

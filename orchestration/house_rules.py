"""What all assets of the platform have in common, declared once: owners, retries, freshness."""

from datetime import timedelta

import dagster as dg

DATA_ENGINEERS = ["team:data-engineering"]

RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

LIVE = dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=10), fail_window=timedelta(hours=1))
"""For what a live platform renews all the time."""

DAILY = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=25), fail_window=timedelta(hours=49))
"""For housekeeping that a schedule does once a day or oftener."""

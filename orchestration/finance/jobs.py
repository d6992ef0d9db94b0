"""The night's work: the business days that have ended and are not audited yet, from both sides to audited tables."""

import dagster as dg

from expectations.thresholds import FINANCE
from orchestration.finance.assets import GROUP
from orchestration.finance.checks import finance_verification
from orchestration.finance.days import due_days
from orchestration.finance.partitions import BUSINESS_DAYS, NIGHTLY_CRON
from orchestration.resources import Platform

daily_finance = dg.define_asset_job(
    "daily_finance",
    # That all days verify, the nightly audit says; here each verifies its own.
    selection=dg.AssetSelection.groups(GROUP) - dg.AssetSelection.checks(*finance_verification.check_keys),
    partitions_def=BUSINESS_DAYS,
    description="One business day: both sides frozen, reconciled, judged and, if it passes, published.",
)


@dg.schedule(
    name="nightly_finance",
    job=daily_finance,
    cron_schedule=NIGHTLY_CRON,
    execution_timezone=FINANCE.time_zone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="After the cut-off: the day that has ended, and those before it that are not audited yet, in order.",
)
def nightly_finance(context: dg.ScheduleEvaluationContext, platform: Platform) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per day; they take turns, since each starts from what the day before left."""
    days = due_days(platform.lake(), context.scheduled_execution_time)
    if not days:
        return dg.SkipReason("no day is due: none has ended since the newest audited one, or no opening was declared")
    return [dg.RunRequest(partition_key=day.isoformat()) for day in days]

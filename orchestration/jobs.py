"""Jobs that cross the flows, and their schedules. They select by group, so that a new asset needs no edit here."""

import dagster as dg

from orchestration.finance.assets import GROUP as FINANCE
from orchestration.finance.checks import finance_verification
from orchestration.maintenance.assets import GROUP as MAINTENANCE
from orchestration.medallion.assets import GROUP as MARTS

from_log_to_files = dg.define_asset_job(
    "from_log_to_files",
    # Finance works in business days, and on its own clock.
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups(MAINTENANCE, FINANCE),
    description="The whole graph once, up to finance: drains the log, works off what waits, and checks everything.",
)

audit = dg.define_asset_job(
    "audit",
    # A publication is audited by its own gate, so it is part of the audit; what is published already stays.
    # Each of finance's days was audited when it was published; here all of them are verified.
    selection=(dg.AssetSelection.all_asset_checks() - dg.AssetSelection.groups(FINANCE))
    | dg.AssetSelection.groups(MARTS)
    | dg.AssetSelection.checks(*finance_verification.check_keys),
    description="Every check over the whole lake.",
)

AUDIT_CRON = "41 2 * * *"

nightly_audit = dg.ScheduleDefinition(
    name="nightly_audit",
    job=audit,
    cron_schedule=AUDIT_CRON,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

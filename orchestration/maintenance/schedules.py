"""When housekeeping runs. It takes whatever belongs to the group, so that a new asset needs no edit here."""

import dagster as dg

from orchestration.maintenance.assets import GROUP

MAINTENANCE_CRON = "17 * * * *"

maintenance = dg.define_asset_job(
    "maintenance", selection=dg.AssetSelection.groups(GROUP), description="Compaction, vacuum, archiving and thinning."
)

hourly_maintenance = dg.ScheduleDefinition(
    name="hourly_maintenance",
    job=maintenance,
    cron_schedule=MAINTENANCE_CRON,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

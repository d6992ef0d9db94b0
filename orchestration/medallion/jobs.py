"""The live run. Its job targets no asset, so that automation does not see the assets as always in progress."""

import dagster as dg

from orchestration.faults import commit_points
from orchestration.medallion.events import live_events
from orchestration.medallion.increments import Medallion, linger
from orchestration.reporting import report_live
from orchestration.resources import Platform


@dg.op(description="Keeps dbt warm, and publishes silver and gold after every increment that passes.")
def publish_increments(context: dg.OpExecutionContext, platform: Platform) -> None:
    """Works until idle for long, or old; see `medallion_idle_seconds` and `medallion_max_life_seconds`."""
    settings = platform.settings()
    medallion = Medallion(platform.lake(), settings.clock, commit_points(settings))
    stream = linger(medallion, context.run_id, settings.medallion_idle_seconds, settings.medallion_max_life_seconds)
    for increment in stream:
        outcomes = (*increment.publication.outcomes, increment.lag_outcome())
        report_live(context, live_events(increment, medallion.lake), outcomes)


@dg.job(description="The medallion, live: one run lingers, with dbt warm, while payments keep landing.")
def live_medallion() -> None:
    publish_increments()


full_build = dg.define_asset_job(
    "medallion_build",
    selection=dg.AssetSelection.groups("silver", "gold", "marts"),
    description="Silver, gold and the marts with every test; `full_refresh` and `day` in the config build more anew.",
)

FULL_BUILD_CRON = "47 * * * *"

hourly_full_build = dg.ScheduleDefinition(
    name="hourly_medallion_build",
    job=full_build,
    cron_schedule=FULL_BUILD_CRON,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

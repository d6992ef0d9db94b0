"""Keeps exactly one live run of the medallion alive while payments land."""

import dagster as dg

from expectations.catalog import Lake
from orchestration.lingering import LingeringRun, keep_alive
from orchestration.medallion.increments import why_idle
from orchestration.medallion.jobs import live_medallion
from orchestration.resources import Platform


@dg.sensor(
    name="medallion",
    job=live_medallion,
    minimum_interval_seconds=4,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the live run when bronze is ahead of what is published and none is alive.",
)
def medallion_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """A run is needed once bronze is ahead."""
    settings = platform.settings()
    lake = Lake(settings.lake)
    run = LingeringRun(
        job_name=live_medallion.name,
        flow="medallion",
        lease=lake.medallion_lease,
        why_idle=lambda: why_idle(lake),
    )
    return keep_alive(context, run, settings.notify_urls)

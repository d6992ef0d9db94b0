"""Keeps exactly one streaming run alive while there is something to detect."""

import dagster as dg

from expectations.catalog import Lake
from orchestration.detection.assemble import waiting_cells
from orchestration.detection.jobs import pattern_stream
from orchestration.lingering import LingeringRun, keep_alive
from orchestration.resources import Platform


@dg.sensor(
    name="detections",
    job=pattern_stream,
    minimum_interval_seconds=4,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the streaming run when chunks wait and none is alive; replaces one that died without a word.",
)
def detections_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """A run is needed once a complete grid cell waits."""
    settings = platform.settings()
    run = LingeringRun(
        job_name=pattern_stream.name,
        flow="detection",
        lease=Lake(settings.lake).detector_lease,
        why_idle=lambda: None if waiting_cells(settings) else "no complete grid cell waits",
    )
    return keep_alive(context, run, settings.notify_urls)

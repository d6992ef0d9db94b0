"""Keeps exactly one streaming run alive while there is something to detect."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterRunStatus

from expectations.catalog import Lake
from expectations.clock import system_clock
from expectations.thresholds import LEASE_SECONDS
from orchestration.alerts.notifier import notify
from orchestration.detection.assemble import waiting_cells
from orchestration.detection.jobs import pattern_stream
from orchestration.resources import Platform
from spark_jobs.pattern_detector.lease import live_holder

_UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_START_GRACE = timedelta(seconds=2 * LEASE_SECONDS)
"""A run has so long to start, and to take the lease."""


@dg.sensor(
    name="detections",
    job=pattern_stream,
    minimum_interval_seconds=4,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the streaming run when chunks wait and none is alive; replaces one that died without a word.",
)
def detections_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """Alive means a lease that is renewed. An unfinished run without one is a ghost: it is failed and replaced."""
    settings, now = platform.settings(), system_clock()
    holder = live_holder(Lake(settings.lake).detector_lease, now)
    if holder is not None:
        return dg.SkipReason(f"{holder.owner} is at work; last sign of life {holder.renewed_at:%H:%M:%S} UTC")
    unfinished = context.instance.get_run_records(
        dg.RunsFilter(job_name=pattern_stream.name, statuses=_UNFINISHED), limit=10
    )
    for record in unfinished:
        if now - _utc(record.create_timestamp) < _START_GRACE:
            return dg.SkipReason(f"run {record.dagster_run.run_id[:8]} is starting")
        context.instance.report_run_failed(record.dagster_run, "no sign of life: its lease has run out")
        notify(settings.notify_urls, "Tollgate: a streaming run died", record.dagster_run.run_id)
    waiting = waiting_cells(settings)
    if not waiting:
        return dg.SkipReason("no complete grid cell waits")
    return dg.RunRequest(tags={"tollgate/flow": "detection"})


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)

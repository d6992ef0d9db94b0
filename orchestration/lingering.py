"""Keeps one lingering run of a job alive while it has something to do; replaces one that died without a word."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus

from expectations.clock import system_clock
from expectations.lease import live_holder
from expectations.thresholds import LEASE_SECONDS
from orchestration.alerts.notifier import notify

_UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_LAUNCH_GRACE = timedelta(seconds=4 * LEASE_SECONDS)
"""So long may it take a busy machine to start a run's process."""

_LEASE_GRACE = timedelta(seconds=2 * LEASE_SECONDS)
"""A started run has so long to take the lease."""


_PRIORITY = "10"
"""Ahead of builds and housekeeping in the queue of runs."""


@dataclass(frozen=True)
class LingeringRun:
    """A job of which one run lingers.

    Attributes:
        job_name: the job.
        flow: tag of its runs.
        lease: the file by which its run shows that it is alive.
        why_idle: why no run is needed now, or None where one is. Asked only if none is alive.
    """

    job_name: str
    flow: str
    lease: Path
    why_idle: Callable[[], str | None]


def keep_alive(
    context: dg.SensorEvaluationContext, run: LingeringRun, notify_urls: list[str]
) -> dg.RunRequest | dg.SkipReason:
    """Alive means a lease that is renewed. An unfinished run without one is a ghost: it is failed and replaced."""
    now = system_clock()
    holder = live_holder(run.lease, now)
    if holder is not None:
        return dg.SkipReason(f"{holder.owner} is at work; last sign of life {holder.renewed_at:%H:%M:%S} UTC")
    unfinished = context.instance.get_run_records(dg.RunsFilter(job_name=run.job_name, statuses=_UNFINISHED), limit=10)
    for record in unfinished:
        if _is_starting(record, now):
            return dg.SkipReason(f"run {record.dagster_run.run_id[:8]} is starting")
        context.instance.report_run_failed(record.dagster_run, "no sign of life: its lease has run out")
        notify(notify_urls, f"Tollgate: a run of {run.job_name} died", record.dagster_run.run_id)
    why_idle = run.why_idle()
    return (
        dg.SkipReason(why_idle)
        if why_idle
        else dg.RunRequest(tags={"tollgate/flow": run.flow, "dagster/priority": _PRIORITY})
    )


def _is_starting(record: dg.RunRecord, now: datetime) -> bool:
    """Whether there is reason to wait. A queued run is nobody's ghost: the daemon will launch it."""
    status, age = record.dagster_run.status, now - _utc(record.update_timestamp)
    if status is DagsterRunStatus.QUEUED:
        return True
    return age < (_LEASE_GRACE if status is DagsterRunStatus.STARTED else _LAUNCH_GRACE)


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)

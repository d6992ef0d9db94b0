"""Tells somebody when a run fails."""

import dagster as dg

from expectations.settings import load_settings
from orchestration.alerts.notifier import notify


@dg.run_failure_sensor(
    name="run_failures",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="One alert for every failed run.",
)
def run_failure_alert(context: dg.RunFailureSensorContext) -> None:
    """Sends the job, the run and the error's first line; never a stack trace, which could hold data."""
    run, error = context.dagster_run, context.failure_event.message or ""
    notify(
        load_settings().notify_urls,
        f"Tollgate: {run.job_name} failed",
        f"run {run.run_id}: {error.splitlines()[0] if error else 'no message'}",
    )

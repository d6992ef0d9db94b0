"""The 5-second clock: each tick of the sensor is a tick of the chunker, in the warm code server."""

import json

import dagster as dg

from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.thresholds import CHUNKER_INTERVAL_SECONDS
from orchestration.alerts.notifier import notify
from orchestration.chunking import audit
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.chunker import Tick
from orchestration.chunking.events import Totals, materializations
from orchestration.chunking.follow import TRANSIENT, tick_with_retries
from orchestration.chunking.watch import look
from orchestration.reporting import check_evaluation
from orchestration.resources import Platform

# The daemon comes round every 5 s; asking for exactly that would let half of the rounds slip by a hair.
_INTERVAL_SECONDS = CHUNKER_INTERVAL_SECONDS - 1


@dg.sensor(
    name="chunker",
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every 5 seconds: reads the next entries of the log, and commits them as a chunk and to bronze.",
)
def chunker_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
    """Does one tick and reports it. The cursor only shows the offset, and remembers the cause of a failure."""
    settings = platform.settings()
    last = json.loads(context.cursor or "{}")
    try:
        chunker = make_chunker(settings)
        with chunker.alone():
            tick = tick_with_retries(chunker)
    except (TollgateError, *TRANSIENT) as error:
        return _failed(settings.notify_urls, last, error)
    if tick is None and "failure" not in last:
        return dg.SkipReason("nothing new in the log")
    return _done(tick, chunker.lake)


def _done(tick: Tick | None, lake: Lake) -> dg.SensorResult:
    if tick is None:
        events = [check_evaluation(audit.SOURCE_READABLE.outcome(True, "readable again"))]
        return dg.SensorResult(asset_events=events, cursor="{}")
    events = [
        *materializations(Totals().plus(tick), lake),
        *(check_evaluation(outcome) for outcome in audit.check_tick(tick)),
    ]
    return dg.SensorResult(asset_events=events, cursor=json.dumps({"entries": tick.offset.entries}))


def _failed(urls: list[str], last: dict, error: Exception) -> dg.SensorResult | dg.SkipReason:
    """A failed check and one alert for each new cause; the same cause again is only told in the tick."""
    cause = f"{type(error).__name__}: {error}"
    if last.get("failure") == cause:
        return dg.SkipReason(cause)
    notify(urls, "Tollgate: the chunker has stopped", cause)
    verdict = check_evaluation(audit.SOURCE_READABLE.outcome(False, cause))
    return dg.SensorResult(asset_events=[verdict], cursor=json.dumps(last | {"failure": cause}))


@dg.sensor(
    name="offset_watchdog",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks at the age of the offset from outside; alerts once when new entries wait for too long.",
)
def offset_watchdog(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
    """Reports the check when its verdict changes."""
    settings = platform.settings()
    verdict = next(outcome for outcome in look(settings) if outcome.check == audit.OFFSET_FRESH.check)
    state = "fresh" if verdict.passed else "stale"
    if context.cursor == state:
        return dg.SkipReason(verdict.summary)
    if not verdict.passed:
        notify(settings.notify_urls, "Tollgate: the chunker does not keep up", verdict.summary)
    return dg.SensorResult(asset_events=[check_evaluation(verdict)], cursor=state)

"""Finance's part of the demo: a simulated bank for the log's last days, and these days through Dagster, in order."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

from data.bank.simulate import write_core_banking
from data.log_format import LOG_COLUMNS
from expectations.business_days import CALENDAR
from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.places import open_stream
from expectations.settings import Settings
from orchestration.finance.approvals import approve_day
from orchestration.finance.business_day import read_verdict
from orchestration.finance.chain import current_days, read_chain
from orchestration.finance.extraction import connect
from orchestration.finance.jobs import daily_finance
from orchestration.finance.publishing import make_publisher
from orchestration.mart import SILVER, current_version
from orchestration.query import run_query

DEMO_DAYS = 7
BANK_SEED = 11
_BY = "demo"


@dataclass(frozen=True)
class DemoDay:
    """What became of a business day in the demo.

    Attributes:
        day: the business day.
        was_blocked: why the gate kept it at first; empty if it did not.
        checks_passed: verdicts of its runs.
    """

    day: date
    was_blocked: str
    checks_passed: int


def has_bank(settings: Settings) -> bool:
    """Whether the simulated bank can keep the books of this log: it knows the simulated company's format only."""
    if settings.log.suffix == ".gz" or not settings.log.is_file():
        return False
    with io.TextIOWrapper(open_stream(settings.log), encoding="utf-8", newline="") as log:
        return tuple(next(csv.reader(log), ())) == LOG_COLUMNS


def demo_days(lake: Lake) -> list[date]:
    """The last days of published silver, in order, without the very last, which may go on."""
    version = current_version(lake, SILVER)
    if version is None or version.newest_event_at is None:
        return []
    last = CALENDAR.business_date(version.newest_event_at) - timedelta(days=1)
    known = [day for day, link in current_days(read_chain(lake)).items() if link.manifest.kind == "opening"]
    # A second demo goes on with the same days.
    first = known[0] + timedelta(days=1) if known else max(last - timedelta(days=DEMO_DAYS - 1), _first_day(lake))
    return [first + timedelta(days=at) for at in range(min(DEMO_DAYS, (last - first).days + 1))]


def _first_day(lake: Lake) -> date:
    (found,) = run_query(lake, "SELECT min(business_date) AS day FROM silver.payments_enriched_silver").to_pylist()
    return found["day"]


def write_bank(settings: Settings, days: list[date]) -> None:
    """The bank's books of these days."""
    write_core_banking(settings.log, settings.core_banking, days[0], days[-1], BANK_SEED)


def run_days(
    settings: Settings,
    days: list[date],
    instance: dg.DagsterInstance,
    run_config: dict,
    definitions: dg.Definitions,
) -> Iterator[DemoDay]:
    """Each day that is not audited yet, through the graph. What tolerance blocks is approved, unsigned: here only.

    Raises:
        TollgateError: a day fails otherwise.
    """
    lake = Lake(settings.lake)
    if not read_chain(lake):
        bank = connect(settings.core_banking)
        publisher = make_publisher(settings, _BY)
        publisher.declare_opening(days[0], bank.read_balances(days[0] - timedelta(days=1)), "the demo begins here")
    job = definitions.resolve_job_def(daily_finance.name)
    audited = current_days(read_chain(lake))
    for day in days:
        if day in audited:
            continue
        result = _run(job, day, instance, run_config)
        verdict = read_verdict(lake, day)
        blocked = ", ".join(check.check for check in verdict.failed) if verdict else ""
        if blocked:
            for _ in ("maker", "checker"):
                approve_day(lake, day, "seen, and accepted for the demo", None, settings.finance_keys, settings.clock())
            result = _run(job, day, instance, run_config)
        if not result.success:
            raise TollgateError(f"business day {day} was not published", remedy="see its run in `make ui`")
        evaluations = result.get_asset_check_evaluations()
        yield DemoDay(day, blocked, sum(evaluation.passed for evaluation in evaluations))


def _run(job: dg.JobDefinition, day: date, instance: dg.DagsterInstance, run_config: dict) -> dg.ExecuteInProcessResult:
    return job.execute_in_process(
        partition_key=day.isoformat(), instance=instance, run_config=run_config, raise_on_error=False
    )

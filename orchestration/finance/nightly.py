"""What the night does with a business day, without Dagster: both sides frozen, reconciled, judged, published."""

from datetime import date

from expectations.catalog import Lake
from expectations.finance import PLATFORM_PAYMENTS
from expectations.settings import Settings
from expectations.thresholds import FINANCE, FinancePolicy
from orchestration.alerts.notifier import notify
from orchestration.finance.business_day import Judgement, failed_checks, reconcile_staged, stage
from orchestration.finance.extraction import connect
from orchestration.finance.platform_payments import read_platform_day
from orchestration.finance.publishing import Published, Publisher
from orchestration.finance.snapshots import BANK, PLATFORM, freeze


def freeze_day(settings: Settings, day: date, policy: FinancePolicy = FINANCE) -> None:
    """Freezes both sides of a day.

    Raises:
        BankDayNotClosed, SourceError: the bank's side is not to be had.
        DayNotOver: the platform may still get payments of the day.
    """
    lake = Lake(settings.lake)
    bank = connect(settings.core_banking, policy.bank_date_basis)
    freeze(lake, BANK, day, bank.read_day(day), bank.place, settings.clock())
    platform = read_platform_day(lake, day)
    tables = {PLATFORM_PAYMENTS.name: platform.payments}
    freeze(lake, PLATFORM, day, tables, str(lake.marts), settings.clock(), platform.silver_version)


def judge_day(settings: Settings, day: date, policy: FinancePolicy = FINANCE) -> Judgement:
    """Reconciles a frozen day and judges it; tells somebody if it is blocked."""
    lake = Lake(settings.lake)
    stage(lake, day, policy)
    judged = reconcile_staged(lake, day, settings.finance_keys, settings.finance_unsigned_approvals)
    tell_if_blocked(settings, day)
    return judged


def tell_if_blocked(settings: Settings, day: date) -> None:
    """Sends an alert with the checks that the newest attempt at a day failed."""
    failed = failed_checks(Lake(settings.lake), day)
    if failed:
        reasons = "; ".join(f"{check.check}: {check.summary}" for check in failed)
        notify(settings.notify_urls, f"Tollgate: business day {day} is blocked", reasons)


def run_day(
    settings: Settings, day: date, publisher: Publisher, reason: str | None = None, policy: FinancePolicy = FINANCE
) -> Published:
    """All of it.

    Raises:
        DayBlocked: the day does not pass its gate; what was published stays.
    """
    freeze_day(settings, day, policy)
    judge_day(settings, day, policy)
    return publisher.publish(day, reason)

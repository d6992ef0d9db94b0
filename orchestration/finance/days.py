"""Where every business day stands: audited, restated, stale, blocked, or a candidate for a restatement."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from expectations.business_days import CALENDAR, BusinessCalendar
from expectations.catalog import Lake
from expectations.finance import PLATFORM_PAYMENTS
from orchestration.finance.business_day import failed_checks
from orchestration.finance.chain import Link, current_days, read_chain
from orchestration.finance.platform_payments import payments_per_day
from orchestration.finance.register import day_register
from orchestration.outcomes import CheckDeclaration, Outcome

NO_LATE_ROWS = CheckDeclaration(
    "platform_snapshot",
    "no_audited_day_has_late_rows",
    "Silver has no payments of audited days that these were audited without. A day that has is a candidate for a "
    "restatement; it is not changed.",
    is_blocking=False,
)


@dataclass(frozen=True)
class DayState:
    """Where a business day stands.

    Attributes:
        business_date: the day.
        status: `audited`, `restated`, `stale` or `blocked`.
        version: of its publication; 0 if there is none.
        payments, open_breaks: of that publication.
        why: of a blocked day, the checks that failed; of a restated one, the reason.
        late_payments: payments that silver has of the day and its publication has not.
        sequence: its place in the chain; 0 if it has none.
    """

    business_date: date
    status: str
    version: int
    payments: int
    open_breaks: int
    why: str
    late_payments: int
    sequence: int


def day_states(lake: Lake) -> list[DayState]:
    """Every day that was published or tried, in order."""
    links = read_chain(lake)
    register = {row["business_date"]: row for row in day_register(links).to_pylist()}
    blocked = blocked_days(lake)
    late = late_payments(lake, links)
    states = []
    for day in sorted({*register, *blocked}):
        line = register.get(day)
        states.append(
            DayState(
                business_date=day,
                status="blocked" if day in blocked else line["status"],
                version=line["version"] if line else 0,
                payments=line["payments"] if line else 0,
                open_breaks=line["open_breaks"] if line else 0,
                why=blocked.get(day) or (line and line["reason"]) or "",
                late_payments=late.get(day, 0),
                sequence=line["sequence"] if line else 0,
            )
        )
    return states


def due_days(lake: Lake, now: datetime, calendar: BusinessCalendar = CALENDAR) -> list[date]:
    """Days that have ended and are not audited yet, in order, after the newest that is; a blocked one comes alone.

    Without an opening there are none.
    """
    known = current_days(read_chain(lake))
    if not known:
        return []
    first, today = max(known) + timedelta(days=1), calendar.business_date(now)
    days = [first + timedelta(days=at) for at in range((today - first).days)]
    # What comes after a blocked day cannot be run before it.
    return days[:1] if days and days[0] in blocked_days(lake) else days


def blocked_days(lake: Lake) -> dict[date, str]:
    """Days whose newest attempt did not pass, and why."""
    found = {}
    for folder in sorted((lake.finance / "staging").glob("*-*-*")):
        day = date.fromisoformat(folder.name)
        if failed := failed_checks(lake, day):
            found[day] = "; ".join(f"{check.check}: {check.summary}" for check in failed)
    return found


def late_payments(lake: Lake, links: Iterable[Link]) -> dict[date, int]:
    """Of audited days, how many payments silver has more than they were audited with."""
    if not lake.mart.exists():
        return {}
    counted = payments_per_day(lake)
    audited = {day: link for day, link in current_days([*links]).items() if link.manifest.kind == "day"}
    more = {
        day: counted.get(day, 0) - link.manifest.inputs["platform"].tables[PLATFORM_PAYMENTS.name].rows
        for day, link in audited.items()
    }
    return {day: count for day, count in more.items() if count > 0}


def late_rows_outcome(lake: Lake) -> Outcome:
    """Whether an audited day is a candidate for a restatement."""
    late = late_payments(lake, read_chain(lake))
    named = ", ".join(f"{day} ({count:,})" for day, count in sorted(late.items()))
    return NO_LATE_ROWS.outcome(
        not late,
        f"candidates for a restatement, with late payments: {named}" if late else "no audited day has late payments",
        days=len(late),
        payments=sum(late.values()),
    )

"""The bank from day to day: which days it closes next, at once or as they end."""

import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from data.bank.simulate import TRUTH_SCHEMA, BankSimulation, write_core_banking
from expectations import core_banking as bank
from expectations.business_days import CALENDAR, BusinessCalendar
from expectations.places import Location, open_stream, size_bytes

LOOKS_EVERY_SECONDS = 60
_HEAD_BYTES = 4096


def keep_books(
    log: Location,
    url: str,
    first_day: date | None,
    last_day: date | None,
    seed: int,
    now: datetime,
    truth: Path | None = None,
    calendar: BusinessCalendar = CALENDAR,
) -> BankSimulation:
    """Closes the days that are not closed yet.

    Args:
        log: the simulated company's.
        url: the bank's database.
        first_day: where its books begin, if they have not begun; the log's first day if not given.
        last_day: the last day to close; the last one that has ended by `now` if not given.
        seed: the bank's mistakes.
        now: the present.
        truth: where the truth goes.
        calendar: when days end.

    Raises:
        ValueError: the log is not there, or has no payments.
    """
    closed = closed_days(url)
    last = last_day or calendar.business_date(now) - timedelta(days=1)
    if closed and last <= max(closed) and truth is None:
        return BankSimulation((), 0, TRUTH_SCHEMA.empty_table())
    first = min(closed) if closed else first_day or _first_day(log, calendar)
    if first > last:
        return BankSimulation((), 0, TRUTH_SCHEMA.empty_table())
    return write_core_banking(log, url, first, last, seed, calendar=calendar, truth=truth)


def follow_log(
    log: Location,
    url: str,
    first_day: date | None,
    seed: int,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    stop: Callable[[], bool],
) -> None:
    """Closes every day once it has ended, until `stop()`."""
    while not stop():
        if log.exists() and size_bytes(log) > _HEAD_BYTES:
            keep_books(log, url, first_day, None, seed, clock())
        sleep(LOOKS_EVERY_SECONDS)


def closed_days(url: str) -> list[date]:
    """The days that the bank has closed."""
    address = sa.make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
        return []
    engine = sa.create_engine(address)
    try:
        if not sa.inspect(engine).has_table(bank.CLOSED_DAYS.name):
            return []
        with engine.connect() as connection:
            return [*connection.execute(sa.select(bank.CLOSED_DAYS.c.booking_date)).scalars()]
    finally:
        engine.dispose()


def _first_day(log: Location, calendar: BusinessCalendar) -> date:
    if not log.exists():
        raise ValueError(f"{log}: no such log")
    with io.TextIOWrapper(open_stream(log), encoding="utf-8") as lines:
        header, first = lines.readline().strip().split(","), lines.readline().strip().split(",")
    if "event_timestamp" not in header or len(first) != len(header):
        raise ValueError(f"{log}: not the simulated company's log, whose books alone the bank can keep")
    instant = datetime.fromisoformat(first[header.index("event_timestamp")])
    return calendar.business_date(instant if instant.tzinfo else instant.replace(tzinfo=UTC))

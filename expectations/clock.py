"""The one source of "now". Whatever needs the time takes a Clock as a parameter."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The current instant in UTC."""
    return datetime.now(UTC)


def frozen_clock(instant: datetime) -> Clock:
    """A clock that stands still at `instant`, for replays and for tests that compare bytes."""
    fixed = instant.astimezone(UTC)
    return lambda: fixed

"""Business days: which instants belong to one. dbt's macro `business_date` follows the same rule."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from expectations.thresholds import MEDALLION


@dataclass(frozen=True)
class BusinessCalendar:
    """When a business day begins: at a local hour of a time zone, its days being 23 to 25 hours long.

    Attributes:
        time_zone: IANA name.
        cutoff_hour: the local hour, 0 to 23, at which the day begins.
    """

    time_zone: str = MEDALLION.business_time_zone
    cutoff_hour: int = MEDALLION.business_cutoff_hour

    def business_date(self, instant: datetime) -> date:
        """The business day of an instant: the local date of a clock that is `cutoff_hour` hours slow."""
        local = instant.astimezone(ZoneInfo(self.time_zone)).replace(tzinfo=None)
        return (local - timedelta(hours=self.cutoff_hour)).date()

    def begins_at(self, day: date) -> datetime:
        """The first instant of a business day, UTC."""
        local = datetime.combine(day, time(self.cutoff_hour), ZoneInfo(self.time_zone))
        return local.astimezone(UTC)

    def ends_at(self, day: date) -> datetime:
        """The first instant after a business day, UTC: its cut-off."""
        return self.begins_at(day + timedelta(days=1))


CALENDAR = BusinessCalendar()

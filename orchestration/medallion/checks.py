"""The checks of the medallion that dbt and the gate do not make."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from expectations.errors import TollgateError
from orchestration.medallion import quality
from orchestration.medallion.dbt_runner import warehouse_alone
from orchestration.medallion.increments import PUBLICATION_LAG, publication_lag
from orchestration.reporting import check_results, check_spec
from orchestration.resources import Platform


class QualityOf(dg.Config):
    """Which day is looked at.

    Attributes:
        day: a UTC day (2026-10-31); the 24 hours up to the latest event if empty.
    """

    day: str = ""

    def date(self) -> date | None:
        """The day.

        Raises:
            TollgateError: it is none.
        """
        try:
            return date.fromisoformat(self.day) if self.day else None
        except ValueError as error:
            raise TollgateError(f"{self.day!r} is no day", remedy="write it as 2026-10-31") from error


@dg.multi_asset_check(specs=[check_spec(check) for check in quality.CHECKS], name="quality_of_silver", can_subset=True)
def quality_of_silver(
    context: dg.AssetCheckExecutionContext, platform: Platform, config: QualityOf
) -> Iterator[dg.AssetCheckResult]:
    """A day of silver under Great Expectations; the Data Docs show every expectation."""
    lake = platform.lake()
    with warehouse_alone(lake):
        day = quality.read_day(lake, config.date())
    yield from check_results(quality.check_day(day, lake), context)


@dg.multi_asset_check(specs=[check_spec(PUBLICATION_LAG)], name="publication_watch", can_subset=True)
def publication_watch(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Whether what landed is published; live, every increment reports the same."""
    yield from check_results([publication_lag(platform.lake(), platform.settings().clock())], context)

"""The platform's side of a business day: what published silver says of payments that move settled money."""

import contextlib
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from expectations.business_days import CALENDAR, BusinessCalendar
from expectations.catalog import Lake
from expectations.delta import sql_text
from expectations.errors import TollgateError
from expectations.finance import DUAL_MESSAGE_PROCESSORS, NO_PROCESSOR, PLATFORM_PAYMENTS
from orchestration.finance.reconcile import conformed
from orchestration.mart import SILVER, current_version
from orchestration.query import open_mart

_PROCESSOR = f"coalesce(processor, {sql_text(NO_PROCESSOR)})"
_IS_DUAL = f"{_PROCESSOR} IN {DUAL_MESSAGE_PROCESSORS}"

SETTLING = f"""
SELECT transaction_id, business_date,
  CASE event_type WHEN 'authorisation' THEN 'sale' WHEN 'capture' THEN 'sale' ELSE event_type END AS kind,
  merchant_id, merchant_segment, merchant_country, {_PROCESSOR} AS processor,
  coalesce(settlement_batch_id, 'SB-' || {_PROCESSOR} || '-' || strftime(business_date, '%Y%m%d'))
    AS settlement_batch_id,
  card_last4, currency,
  CASE WHEN event_type IN ('authorisation', 'capture') THEN amount_minor ELSE -amount_minor END AS amount_minor,
  coalesce(fee_minor, 0) AS fee_minor
FROM silver.payments_enriched_silver
WHERE (event_type IN ('capture', 'refund', 'chargeback') AND is_approved IS NOT FALSE)
  -- Where no capture follows, the authorisation settles itself, and a reversal takes that back.
  OR (NOT {_IS_DUAL} AND ((event_type = 'authorisation' AND is_approved IS NOT FALSE) OR event_type = 'reversal'))
"""
"""What moves settled money. An authorisation that says nothing of its approval, as in BankSim, counts as approved."""


class DayNotOver(TollgateError):
    """A business day has not ended, so it cannot be frozen."""


@dataclass(frozen=True)
class PlatformDay:
    """Payments of a business day, as `PLATFORM_PAYMENTS`, and the publication of silver that they are from."""

    payments: pa.Table
    silver_version: str


def read_platform_day(lake: Lake, day: date, calendar: BusinessCalendar = CALENDAR) -> PlatformDay:
    """The day's payments from published silver, sorted by their identity.

    Raises:
        DayNotOver: silver has seen nothing after the day's end, so that more of the day may be on its way.
    """
    version = current_version(lake, SILVER)
    seen = version.newest_event_at if version else None
    if version is None or seen is None or seen < calendar.ends_at(day):
        raise DayNotOver(
            f"the business day {day} ends at {calendar.ends_at(day):%Y-%m-%d %H:%M} UTC, and published silver reaches "
            + (f"to {seen:%Y-%m-%d %H:%M} UTC" if seen else "nowhere"),
            where=lake.marts,
            remedy="run it when later payments have been published",
        )
    with contextlib.closing(open_mart(lake)) as connection:
        found = connection.execute(
            f"SELECT * FROM ({SETTLING}) WHERE business_date = DATE '{day}' ORDER BY transaction_id"
        ).to_arrow_table()
    return PlatformDay(conformed(found, PLATFORM_PAYMENTS), version.version)


def payments_per_day(lake: Lake) -> dict[date, int]:
    """How many settling payments published silver has of each business day."""
    if current_version(lake, SILVER) is None:
        return {}
    with contextlib.closing(open_mart(lake)) as connection:
        counted = connection.execute(f"SELECT business_date, count(*) FROM ({SETTLING}) GROUP BY ALL").fetchall()
    return dict(counted)

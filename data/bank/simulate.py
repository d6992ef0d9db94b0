"""The bank's database: its books of the business days of a simulated log, and the truth about its mistakes."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import sqlalchemy as sa

from data.bank.breaks import DEFAULT_MIX, LONGEST_CORRECTION_DAYS, Bookings, BreakMix, book_day, composite_keys
from data.bank.ledger import ENTRY_SCHEMA, DayBooks, account_row, balances_after, keep_books
from data.log_format import LOG_COLUMNS
from expectations import core_banking as bank
from expectations import delta
from expectations.business_days import CALENDAR, BusinessCalendar
from expectations.currencies import minor_unit_exponents
from expectations.finance import DUAL_MESSAGE_PROCESSORS, NO_PROCESSOR, PLATFORM_PAYMENTS
from expectations.places import Location

TRUTH_SCHEMA = pa.schema(
    [
        ("break_type", pa.string()),
        ("business_date", pa.date32()),
        ("reference", pa.string()),
        ("currency", pa.string()),
        ("amount_minor", pa.int64()),
        ("fee_minor", pa.int64()),
        ("closes_on", pa.date32()),
    ]
)
"""What is wrong at the end of a day: platform minus bank, and when the bank mends it."""

_CHUNK_ROWS = 20_000


@dataclass(frozen=True)
class Books:
    """A stretch of the bank's books: per day, and the balances after each day; and the truth, as `TRUTH_SCHEMA`."""

    days: Mapping[date, DayBooks]
    balances: Mapping[date, Mapping[str, int]]
    truth: pa.Table


@dataclass(frozen=True)
class BankSimulation:
    """What was written: the days, how many entries, and the truth of the whole stretch."""

    days: tuple[date, ...]
    entries: int
    truth: pa.Table


def write_core_banking(
    log: Location,
    url: str,
    first_day: date,
    last_day: date,
    seed: int,
    mix: BreakMix = DEFAULT_MIX,
    calendar: BusinessCalendar = CALENDAR,
    truth: Path | None = None,
) -> BankSimulation:
    """Writes the days that the bank has not closed yet; days that it has closed stay as they are.

    Writing a stretch at once, or day by day, gives the same books.

    Args:
        log: the simulated company's.
        url: the database, as SQLAlchemy addresses it; tables that it lacks are made.
        first_day, last_day: the stretch, both included; the books begin with the first day.
        seed, mix: the bank's mistakes.
        calendar: when business days begin.
        truth: where the truth goes, as CSV; it never goes into the database.
    """
    books = book(read_payments(log, first_day, last_day, calendar), first_day, last_day, seed, mix, calendar)
    address = sa.make_url(url)
    if address.get_backend_name() == "sqlite" and address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(address)
    bank.METADATA.create_all(engine)
    with engine.begin() as connection:
        closed = {*connection.execute(sa.select(bank.CLOSED_DAYS.c.booking_date)).scalars()}
        written = [day for day in books.days if day not in closed]
        for day in written:
            _write_day(connection, books.days[day], books.balances[day], day)
    engine.dispose()
    if truth:
        truth.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.csv.write_csv(books.truth, truth)
    return BankSimulation(tuple(written), sum(books.days[day].entries.num_rows for day in written), books.truth)


def read_payments(log: Location, first_day: date, last_day: date, calendar: BusinessCalendar = CALENDAR) -> pa.Table:
    """What of a log moves settled money on these business days, as `PLATFORM_PAYMENTS`."""
    exponents = minor_unit_exponents()
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        delta.let_read(connection, log)
        connection.register("exponents", pa.table({"currency": list(exponents), "exponent": list(exponents.values())}))
        found = connection.execute(
            _SETTLING.format(
                columns="{" + ", ".join(f"'{name}': 'VARCHAR'" for name in LOG_COLUMNS) + "}",
                zone=calendar.time_zone,
                cutoff=calendar.cutoff_hour,
                nobody=NO_PROCESSOR,
                dual=DUAL_MESSAGE_PROCESSORS,
            ),
            [str(log), first_day, last_day],
        ).to_arrow_table()
    return found.select(PLATFORM_PAYMENTS.columns).cast(PLATFORM_PAYMENTS.arrow())


# The bank hears of payments from the processors, not from the platform: it reads the log by itself. What has no instant
# or no amount it never heard of.
_SETTLING = """
WITH events AS (
  SELECT *, coalesce(nullif(processor, ''), '{nobody}') AS by_whom,
    ((TRY_CAST(event_timestamp AS TIMESTAMPTZ) AT TIME ZONE '{zone}') - INTERVAL {cutoff} HOUR)::DATE
      AS business_date,
    TRY_CAST(amount AS DECIMAL(18, 4)) AS gross, TRY_CAST(nullif(fee, '') AS DECIMAL(18, 4)) AS fees,
    -- A log that is still being written may end with half a line.
  FROM read_csv(?, header = true, columns = {columns}, delim = ',', ignore_errors = true)
)
SELECT transaction_id, business_date,
  CASE WHEN event_type IN ('authorisation', 'capture') THEN 'sale' ELSE event_type END AS kind,
  merchant_id, nullif(merchant_segment, '') AS merchant_segment, nullif(merchant_country, '') AS merchant_country,
  by_whom AS processor,
  coalesce(nullif(settlement_batch_id, ''), 'SB-' || by_whom || '-' || strftime(business_date, '%Y%m%d'))
    AS settlement_batch_id,
  nullif(right(card_number, 4), '') AS card_last4, currency,
  CASE WHEN event_type IN ('authorisation', 'capture') THEN 1 ELSE -1 END
    * (gross * 10000)::BIGINT // (10 ** (4 - exponent))::BIGINT AS amount_minor,
  coalesce((fees * 10000)::BIGINT // (10 ** (4 - exponent))::BIGINT, 0) AS fee_minor
FROM events JOIN exponents USING (currency)
WHERE business_date BETWEEN ? AND ? AND gross IS NOT NULL
  AND (event_type IN ('capture', 'refund', 'chargeback')
    OR (by_whom NOT IN {dual} AND ((event_type = 'authorisation' AND is_approved = 'true') OR event_type = 'reversal')))
ORDER BY business_date, transaction_id
"""


def book(
    payments: pa.Table,
    first_day: date,
    last_day: date,
    seed: int,
    mix: BreakMix = DEFAULT_MIX,
    calendar: BusinessCalendar = CALENDAR,
) -> Books:
    """The bank's books of a stretch of days that begins with the first one that it ever kept.

    Args:
        payments: as `PLATFORM_PAYMENTS`.
        first_day, last_day: the stretch, both included.
        seed, mix: the bank's mistakes.
        calendar: when days end.
    """
    bookings, recent = Bookings(), _RecentKeys()
    ordered = payments.sort_by([("business_date", "ascending"), ("transaction_id", "ascending")])
    began = _first_days(ordered)
    for day in _days(first_day, last_day):
        of_day = ordered.filter(pc.equal(ordered.column("business_date"), pa.scalar(day)))
        is_first = pa.chunked_array(
            [[began[batch] == day for batch in of_day.column("settlement_batch_id").to_pylist()]], pa.bool_()
        )
        book_day(bookings, day, _with_batches(of_day, is_first, day), recent.after(of_day), is_first, seed, mix)
    days, balances, adjustments = {}, {}, {}
    held: dict[str, int] = {}
    for day in _days(first_day, last_day):
        entries = pa.concat_tables([*bookings.tables[day], _table(bookings.rows[day])])
        days[day], off, later = keep_books(day, entries, adjustments.get(day, ()), seed, mix, calendar)
        held = balances_after(held, days[day].postings)
        balances[day] = held
        bookings.truth += off
        for correction in later:
            adjustments.setdefault(correction["booking_date"], []).append(correction)
    truth = pa.Table.from_pylist(bookings.truth, TRUTH_SCHEMA)
    return Books(days, balances, truth.sort_by([("business_date", "ascending"), ("reference", "ascending")]))


class _RecentKeys:
    """How often each composite key occurs among the payments of the last days."""

    def __init__(self) -> None:
        self._days: list[Counter] = []

    def after(self, payments: pa.Table) -> Counter:
        """Counts with one more day, without those too long ago to be still open."""
        self._days = [*self._days[-LONGEST_CORRECTION_DAYS:], Counter(composite_keys(payments))]
        return sum(self._days, Counter())


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=at) for at in range((last - first).days + 1))


def _first_days(payments: pa.Table) -> dict[str, date]:
    """On which day each batch begins: one whose processor's day is not our business day has payments of two."""
    found = payments.group_by("settlement_batch_id").aggregate([("business_date", "min")])
    return {row["settlement_batch_id"]: row["business_date_min"] for row in found.to_pylist()}


def _with_batches(payments: pa.Table, is_first: pa.ChunkedArray, day: date) -> pa.Table:
    """A batch is paid out once: what comes on another day than its first is in a batch of its own at the bank."""
    names = payments.column("settlement_batch_id")
    later = pc.binary_join_element_wise(names, pa.scalar(f"N{day:%Y%m%d}"), "-")
    at = payments.schema.get_field_index("settlement_batch_id")
    return payments.set_column(at, "settlement_batch_id", pc.if_else(is_first, names, later))


def _table(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist([{name: row[name] for name in ENTRY_SCHEMA.names} for row in rows], ENTRY_SCHEMA)


def _write_day(connection: sa.Connection, books: DayBooks, balances: Mapping[str, int], day: date) -> None:
    known = {*connection.execute(sa.select(bank.ACCOUNTS.c.account_id)).scalars()}
    accounts = [account_row(name) for name in balances if name not in known]
    held = [
        {"booking_date": day, "account_id": name, "currency": name.rpartition(":")[2], "closing_minor": closing}
        for name, closing in balances.items()
    ]
    for table, rows in (
        (bank.ACCOUNTS, accounts),
        (bank.JOURNAL_ENTRIES, books.entries),
        (bank.POSTINGS, books.postings),
        (bank.SETTLEMENT_BATCHES, books.batches),
        (bank.ACCOUNT_BALANCES, held),
        (bank.CLOSED_DAYS, [books.closed]),
    ):
        for chunk in _chunks(rows):
            connection.execute(sa.insert(table), chunk)


def _chunks(rows: pa.Table | list[dict]) -> Iterator[list[dict]]:
    if isinstance(rows, pa.Table):
        yield from (batch.to_pylist() for batch in rows.to_batches(max_chunksize=_CHUNK_ROWS) if batch.num_rows)
    elif rows:
        yield rows

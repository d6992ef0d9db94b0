"""The bank's day, read from the core banking database: page by page, again and again where the connection fails."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from expectations import core_banking as bank
from expectations.errors import SourceError, TollgateError
from expectations.finance import (
    LEDGER_BALANCES,
    LEDGER_BATCHES,
    LEDGER_CLOSING,
    LEDGER_ENTRIES,
    LEDGER_POSTINGS,
)
from expectations.schema import TableSchema

PAGE_ROWS = 50_000
ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 30


class BankDayNotClosed(TollgateError):
    """The bank has not said that a day is complete, so nobody may reckon with it."""


@dataclass(frozen=True)
class CoreBanking:
    """Access to the core banking database; it is only ever read.

    Attributes:
        engine: of SQLAlchemy.
        date_basis: `booking_date`: an entry is of the day on which it is booked; `value_date`: of the day from which
            it counts, if it is booked by then, else of the day on which it is booked.
        page_rows: rows per query.
        sleep: waits so many seconds between two attempts.
    """

    engine: sa.Engine
    date_basis: str = "booking_date"
    page_rows: int = PAGE_ROWS
    sleep: Callable[[float], None] = time.sleep

    @property
    def place(self) -> str:
        """The database's address, without a password."""
        return self.engine.url.render_as_string(hide_password=True)

    def read_day(self, day: date) -> dict[str, pa.Table]:
        """The tables `BANK_TABLES` of a day, each sorted by its key.

        Raises:
            BankDayNotClosed: the bank has not closed the day.
            SourceError: the database cannot be reached, or is not one of core banking.
        """
        closing = self._pages(bank.CLOSED_DAYS, LEDGER_CLOSING, day, ["booking_date"])
        if not closing.num_rows:
            raise BankDayNotClosed(
                f"the bank has not closed {day}", where=self.place, remedy="wait for its end of day, then run again"
            )
        return {
            LEDGER_ENTRIES.name: self._pages(
                bank.JOURNAL_ENTRIES, LEDGER_ENTRIES, day, ["entry_id"], self._entries_of(day)
            ),
            # The ledger's own books are kept by booking date, whatever payments are reconciled by.
            LEDGER_POSTINGS.name: self._pages(bank.POSTINGS, LEDGER_POSTINGS, day, ["entry_id", "leg"]),
            LEDGER_BATCHES.name: self._pages(bank.SETTLEMENT_BATCHES, LEDGER_BATCHES, day, ["batch_id", "currency"]),
            LEDGER_BALANCES.name: self._balances(day),
            LEDGER_CLOSING.name: closing,
        }

    def read_balances(self, day: date) -> pa.Table:
        """The bank's closing balances of a day, as `LEDGER_BALANCES`; empty where it has none."""
        return self._balances(day)

    def _entries_of(self, day: date) -> sa.ColumnElement[bool]:
        """By value date, an entry counts from that date, but not before it is booked: so that each is of one day."""
        entries = bank.JOURNAL_ENTRIES.c
        if self.date_basis == "booking_date":
            return entries.booking_date == day
        by_then = sa.and_(entries.value_date == day, entries.booking_date <= day)
        return sa.or_(by_then, sa.and_(entries.booking_date == day, entries.value_date < day))

    def _balances(self, day: date) -> pa.Table:
        return self._pages(bank.ACCOUNT_BALANCES, LEDGER_BALANCES, day, ["account_id"])

    def _pages(
        self,
        table: sa.Table,
        schema: TableSchema,
        day: date,
        key: Sequence[str],
        condition: sa.ColumnElement | None = None,
    ) -> pa.Table:
        """All rows of a day in the order of their key, a page after the last key of the page before."""
        columns = [table.c[name] for name in key]
        of_day = table.c.booking_date == day if condition is None else condition
        query = sa.select(*(table.c[name] for name in schema.columns)).where(of_day).order_by(*columns)
        pages, last = [], None
        while True:
            following = query if last is None else query.where(sa.tuple_(*columns) > sa.tuple_(*last))
            rows = self._read(following.limit(self.page_rows))
            pages.append(_table(rows, schema))
            if len(rows) < self.page_rows:
                return pa.concat_tables(pages)
            last = [sa.literal(rows[-1][schema.columns.index(name)]) for name in key]

    def _read(self, query: sa.Select) -> list[sa.Row]:
        attempts = Retrying(
            retry=retry_if_exception(_is_transient),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_SECONDS),
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return attempts(self._read_once, query)
        except sa.exc.DBAPIError as error:
            reason = str(error.orig).splitlines()[0] if error.orig else "no connection"
            raise SourceError(
                f"core banking does not answer: {reason}", where=self.place, remedy="check TOLLGATE_CORE_BANKING_URL"
            ) from error

    def _read_once(self, query: sa.Select) -> list[sa.Row]:
        with self.engine.connect() as connection:
            return list(connection.execute(query))


def connect(url: str, date_basis: str = "booking_date") -> CoreBanking:
    """Access to the database at an address.

    Raises:
        SourceError: the address is none, or names a file that is not there.
    """
    try:
        address = sa.make_url(url)
        if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
            raise SourceError(
                "no such core banking database", where=address.database, remedy="check TOLLGATE_CORE_BANKING_URL"
            )
        return CoreBanking(sa.create_engine(address), date_basis)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
        raise SourceError(str(error).splitlines()[0], remedy="check TOLLGATE_CORE_BANKING_URL") from error


def _is_transient(error: BaseException) -> bool:
    # What the database refuses for good, such as a table that is not there, is refused again.
    lasting = (sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.DataError)
    is_missing_table = "no such table" in str(error)
    return isinstance(error, sa.exc.DBAPIError) and not isinstance(error, lasting) and not is_missing_table


def _table(rows: Sequence[sa.Row], schema: TableSchema) -> pa.Table:
    columns: Iterator[Any] = zip(*rows, strict=True) if rows else iter([()] * len(schema.fields))
    arrays = [pa.array(values, field.type.arrow) for values, field in zip(columns, schema.fields, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema.arrow())

"""The bank's day over SQLAlchemy: pages, retries, days that are not closed. On SQLite, and PostgreSQL where it runs."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from expectations import core_banking as bank
from expectations.errors import SourceError
from expectations.finance import BANK_TABLES
from orchestration.finance.extraction import ATTEMPTS, BankDayNotClosed, CoreBanking, connect

DAY = date(2026, 10, 12)
ENTRIES = 7


def fill(engine: sa.Engine) -> None:
    """A closed day with a few entries of two legs each, and one of the day after, which is not closed."""
    bank.METADATA.create_all(engine)
    entries, postings = [], []
    for number in range(ENTRIES + 1):
        day = DAY if number < ENTRIES else DAY + timedelta(days=1)
        entries.append(
            {
                "entry_id": 100 - number,
                "booking_date": day,
                "value_date": DAY,
                "booked_at": datetime(2026, 10, 12, 9),  # noqa: DTZ001 - the bank keeps naive UTC
                "kind": "sale",
                "reference": f"T{number}",
                "batch_id": "SB",
                "merchant_id": "M1",
                "processor": "nordpay",
                "card_last4": None,
                "currency": "EUR",
                "amount_minor": 10**10 + number,
                "fee_minor": 3,
            }
        )
        for leg, account in enumerate(("merchants:EUR", "processor:nordpay:EUR")):
            amount = 10**10 + number
            postings.append(
                {
                    "entry_id": 100 - number,
                    "leg": leg,
                    "booking_date": day,
                    "account_id": account,
                    "currency": "EUR",
                    "debit_minor": amount * leg,
                    "credit_minor": amount * (1 - leg),
                }
            )
    with engine.begin() as connection:
        connection.execute(sa.insert(bank.JOURNAL_ENTRIES), entries)
        connection.execute(sa.insert(bank.POSTINGS), postings)
        connection.execute(
            sa.insert(bank.CLOSED_DAYS),
            {
                "booking_date": DAY,
                "closed_at": datetime(2026, 10, 13),  # noqa: DTZ001
                "entries": ENTRIES,
                "postings": 2 * ENTRIES,
            },
        )
        connection.execute(
            sa.insert(bank.ACCOUNT_BALANCES),
            {"booking_date": DAY, "account_id": "merchants:EUR", "currency": "EUR", "closing_minor": -5},
        )


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{tmp_path_factory.mktemp('bank') / 'bank.db'}")
    fill(engine)
    return engine


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(postgres_url)
    fill(engine)
    yield engine
    bank.METADATA.drop_all(engine)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> sa.Engine:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("page_rows", [1, 2, 3, ENTRIES, ENTRIES + 1, 50_000])
def test_pages_of_any_size_give_the_same_day(engine: sa.Engine, page_rows: int):
    day = CoreBanking(engine, page_rows=page_rows).read_day(DAY)
    assert {name: table.schema for name, table in day.items()} == {t.name: t.arrow() for t in BANK_TABLES}
    assert day["ledger_entries"]["entry_id"].to_pylist() == list(range(100 - ENTRIES + 1, 101))
    assert sum(day["ledger_entries"]["amount_minor"].to_pylist()) == sum(10**10 + n for n in range(ENTRIES))
    assert day["ledger_postings"].num_rows == 2 * ENTRIES
    assert day["ledger_closing"].to_pylist() == [{"booking_date": DAY, "entries": ENTRIES, "postings": 2 * ENTRIES}]


def test_the_date_basis_decides_of_which_day_an_entry_is(engine: sa.Engine):
    """Each entry is of one day, and of none before it is booked."""
    bank_by_value = CoreBanking(engine, date_basis="value_date")
    with engine.begin() as connection:
        changed = sa.update(bank.JOURNAL_ENTRIES).where(bank.JOURNAL_ENTRIES.c.entry_id == 100)
        connection.execute(changed.values(value_date=DAY + timedelta(days=1)))
        closed = {"booking_date": DAY + timedelta(days=1), "closed_at": datetime(2026, 10, 14), "entries": 1}  # noqa: DTZ001
        connection.execute(sa.insert(bank.CLOSED_DAYS), closed | {"postings": 2})
    try:
        days = [bank_by_value.read_day(DAY + timedelta(days=more)) for more in (0, 1)]
    finally:
        with engine.begin() as connection:
            connection.execute(changed.values(value_date=DAY))
            connection.execute(sa.delete(bank.CLOSED_DAYS).where(bank.CLOSED_DAYS.c.booking_date > DAY))
    late = 100 - ENTRIES
    assert [day["ledger_entries"]["entry_id"].to_pylist() for day in days] == [
        list(range(late + 1, 100)),
        [late, 100],
    ]
    assert [day["ledger_postings"].num_rows for day in days] == [2 * ENTRIES, 2]


def test_a_day_that_the_bank_has_not_closed_is_not_read(engine: sa.Engine):
    with pytest.raises(BankDayNotClosed, match="has not closed 2026-10-13"):
        CoreBanking(engine).read_day(DAY + timedelta(days=1))


class Flaky:
    """Lets a number of queries of an engine fail as a lost connection does."""

    def __init__(self, engine: sa.Engine, failures: int) -> None:
        self.left, self.waits = failures, []
        sa.event.listen(engine, "before_cursor_execute", self)
        self._engine = engine

    def __call__(self, *_: object) -> None:
        if self.left:
            self.left -= 1
            raise sa.exc.OperationalError("select", {}, Exception("server closed the connection"))

    def stop(self) -> None:
        sa.event.remove(self._engine, "before_cursor_execute", self)


def test_a_lost_connection_is_tried_again_after_longer_and_longer_waits(sqlite: sa.Engine):
    flaky = Flaky(sqlite, ATTEMPTS - 1)
    try:
        day = CoreBanking(sqlite, sleep=flaky.waits.append).read_day(DAY)
    finally:
        flaky.stop()
    assert day["ledger_entries"].num_rows == ENTRIES
    assert len(flaky.waits) == ATTEMPTS - 1 and all(0 <= wait <= 30 for wait in flaky.waits)


def test_a_bank_that_stays_away_gives_one_clear_error(sqlite: sa.Engine):
    flaky = Flaky(sqlite, 1000)
    try:
        with pytest.raises(SourceError, match="core banking does not answer: server closed the connection"):
            CoreBanking(sqlite, sleep=lambda seconds: None).read_day(DAY)
    finally:
        flaky.stop()
    assert flaky.left == 1000 - ATTEMPTS


def test_another_database_is_told_at_once(tmp_path: Path):
    other = sa.create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(SourceError, match="no such table"):
        CoreBanking(other, sleep=pytest.fail).read_day(DAY)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path):
    with pytest.raises(SourceError, match="no such core banking database"):
        connect(f"sqlite:///{tmp_path / 'none.db'}")
    assert not [*tmp_path.iterdir()]


def test_a_password_is_never_shown():
    engine = sa.create_engine("postgresql+psycopg://reader:secret@bank.example/core")
    assert "secret" not in CoreBanking(engine).place

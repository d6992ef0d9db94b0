"""The audited tables in PostgreSQL: the same current days, in one transaction, for readers who may only read."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from expectations.catalog import Lake
from expectations.finance import FINANCE_TABLES
from orchestration.finance import postgres
from orchestration.finance.chain import read_chain
from orchestration.finance.postgres import READER, MirrorFailed, mirror
from orchestration.query import run_query
from tests.support.finance import DAY, Books, payments, plain_day

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def engine(postgres_url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(postgres_url)
    yield made
    with made.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA IF EXISTS finance CASCADE"))
    made.dispose()


@pytest.fixture
def books(tmp_path: Path) -> Books:
    made = Books(Lake(tmp_path / "lake"))
    made.open()
    made.run(*plain_day(DAY))
    made.run(*plain_day(NEXT), day=NEXT)
    return made


def held(engine: sa.Engine, table: str) -> list[tuple]:
    with engine.connect() as connection:
        return sorted(tuple(row) for row in connection.execute(sa.text(f"SELECT * FROM finance.{table}")))


def published(books: Books, table: str) -> list[tuple]:
    return sorted(tuple(row.values()) for row in run_query(books.lake, f"SELECT * FROM finance.{table}").to_pylist())


def test_it_holds_what_is_published(books: Books, engine: sa.Engine):
    assert mirror(engine, books.lake, read_chain(books.lake)) == [DAY, NEXT]
    for schema in FINANCE_TABLES:
        assert held(engine, schema.name) == published(books, schema.name)
    assert mirror(engine, books.lake, read_chain(books.lake)) == []


def test_a_restatement_moves_its_day_alone(books: Books, engine: sa.Engine):
    mirror(engine, books.lake, read_chain(books.lake))
    platform, bank = plain_day(DAY)
    books.run(payments(*platform.to_pylist(), {"transaction_id": "T9"}), bank, reason="late")
    assert mirror(engine, books.lake, read_chain(books.lake)) == [DAY]
    for schema in FINANCE_TABLES:
        assert held(engine, schema.name) == published(books, schema.name)


def test_what_fails_halfway_changes_nothing(books: Books, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch):
    mirror(engine, books.lake, read_chain(books.lake)[:2])
    before = held(engine, "audited_daily_settlement")

    def fails(links: list) -> None:
        raise sa.exc.OperationalError("insert", {}, Exception("the disk is full"))

    monkeypatch.setattr(postgres, "day_register", fails)
    with pytest.raises(MirrorFailed, match="the disk is full"):
        mirror(engine, books.lake, read_chain(books.lake))
    assert held(engine, "audited_daily_settlement") == before


def test_readers_may_only_read(books: Books, engine: sa.Engine):
    mirror(engine, books.lake, read_chain(books.lake))
    with engine.connect() as connection:
        connection.execute(sa.text(f"SET ROLE {READER}"))
        assert connection.execute(sa.text("SELECT count(*) FROM finance.audited_day_status")).scalar() == 2
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            connection.execute(sa.text("DELETE FROM finance.audited_day_status"))


def test_publishing_brings_it_there(books: Books, engine: sa.Engine, postgres_url: str):
    third = NEXT + timedelta(days=1)
    books.postgres = postgres_url
    books.run(*plain_day(third), day=third)
    assert held(engine, "audited_day_status") == published(books, "audited_day_status")

"""The simulated bank: books that balance, on any database, by any calendar, day by day or at once."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from data.bank.breaks import NO_BREAKS
from data.bank.follow import follow_log, keep_books
from data.bank.simulate import book, read_payments, write_core_banking
from data.reference.processors import PROCESSORS
from data.simulate import write_log
from expectations import core_banking as bank
from expectations.business_days import BusinessCalendar
from expectations.finance import DUAL_MESSAGE_PROCESSORS
from orchestration.finance.extraction import CoreBanking

FIRST, LAST = date(2026, 10, 23), date(2026, 10, 31)
SEED = 5


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bank") / "company.csv"
    write_log(path, 6_000, 7, days=10)
    return path


def held(engine: sa.Engine, table: sa.Table) -> list[tuple]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))]


def test_the_contract_and_the_company_mean_the_same_processors():
    assert {each.name for each in PROCESSORS if each.dual_message} == {*DUAL_MESSAGE_PROCESSORS}


def test_every_entry_balances_and_balances_roll(log: Path):
    books = book(read_payments(log, FIRST, LAST), FIRST, LAST, SEED)
    before: dict[str, int] = {}
    for day, of_day in books.days.items():
        sums: dict[tuple, int] = {}
        for leg in of_day.postings.to_pylist():
            assert (leg["debit_minor"] == 0) != (leg["credit_minor"] == 0)
            assert min(leg["debit_minor"], leg["credit_minor"]) == 0 and leg["booking_date"] == day
            moved = leg["debit_minor"] - leg["credit_minor"]
            sums[leg["entry_id"], leg["currency"]] = sums.get((leg["entry_id"], leg["currency"]), 0) + moved
            before[leg["account_id"]] = before.get(leg["account_id"], 0) + moved
        assert set(sums.values()) <= {0}
        assert before == dict(books.balances[day])
        assert of_day.closed["entries"] == of_day.entries.num_rows


def test_without_mistakes_every_payment_is_booked_once_or_with_its_batch(log: Path):
    payments = read_payments(log, FIRST, LAST)
    books = book(payments, FIRST, LAST, SEED, NO_BREAKS)
    booked = [entry for of_day in books.days.values() for entry in of_day.entries.to_pylist()]
    plain = [entry for entry in booked if entry["kind"] != "payout"]
    said = {(row["transaction_id"], row["kind"], row["amount_minor"], row["fee_minor"]) for row in payments.to_pylist()}
    assert {(e["reference"], e["kind"], e["amount_minor"], e["fee_minor"]) for e in plain} == said
    assert len(plain) == payments.num_rows and books.truth.num_rows == 0


def test_a_payout_is_its_batch_in_the_currency_of_the_payout(log: Path):
    books = book(read_payments(log, FIRST, LAST), FIRST, LAST, SEED, NO_BREAKS)
    for of_day in books.days.values():
        payouts = [entry for entry in of_day.entries.to_pylist() if entry["kind"] == "payout"]
        assert [(e["batch_id"], e["currency"], e["amount_minor"]) for e in payouts] == [
            (batch["batch_id"], batch["payout_currency"], batch["payout_minor"]) for batch in of_day.batches
        ]


def test_lines_that_cannot_be_read_are_not_booked(log: Path, tmp_path: Path):
    """Neither do they stop the bank, whatever stands in them."""
    header, *lines = log.read_text().splitlines()
    columns = header.split(",")
    refund = next(line for line in lines if ",refund," in line).split(",")
    damaged = tmp_path / "damaged.csv"
    for column, text in (("event_timestamp", "4" * 16), ("amount", "4" * 16), ("amount", ""), ("event_timestamp", "")):
        at = columns.index(column)
        lines.append(",".join([*refund[:at], text, *refund[at + 1 :]]))
    damaged.write_text("\n".join([header, *lines, ""]))
    assert read_payments(damaged, FIRST, LAST).equals(read_payments(log, FIRST, LAST))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_the_log_is_cut_into_the_calendars_days(log: Path, zone: str):
    """Also on the night on which clocks are set back."""
    calendar = BusinessCalendar(zone, 4)
    found = read_payments(log, FIRST, LAST, calendar)
    instants = {}
    for line in log.read_text().splitlines()[1:]:
        fields = line.split(",")
        instants[fields[0]] = datetime.fromisoformat(fields[4])
    assert found.num_rows > 1_000
    for row in found.to_pylist():
        assert row["business_date"] == calendar.business_date(instants[row["transaction_id"]])


def test_day_by_day_or_at_once_it_is_the_same_database(log: Path, tmp_path: Path):
    engines = []
    for name, stops in (("once", [LAST]), ("daily", [FIRST + timedelta(days=at) for at in range(9)])):
        url = f"sqlite:///{tmp_path / name}.db"
        for stop in stops:
            write_core_banking(log, url, FIRST, stop, SEED)
        engines.append(sa.create_engine(url))
    for table in bank.METADATA.sorted_tables:
        assert held(engines[0], table) == held(engines[1], table)


def test_postgresql_holds_what_sqlite_holds(log: Path, tmp_path: Path, postgres_url: str):
    sqlite, postgres = sa.create_engine(f"sqlite:///{tmp_path / 'bank.db'}"), sa.create_engine(postgres_url)
    try:
        for engine in (sqlite, postgres):
            write_core_banking(log, engine.url.render_as_string(hide_password=False), FIRST, FIRST, SEED)
        days = [CoreBanking(engine, page_rows=100).read_day(FIRST) for engine in (sqlite, postgres)]
        assert days[0] == days[1] and days[0]["ledger_entries"].num_rows > 100
    finally:
        bank.METADATA.drop_all(postgres)
        postgres.dispose()


def test_it_closes_each_day_as_it_ends(log: Path, tmp_path: Path):
    url, now = f"sqlite:///{tmp_path / 'bank.db'}", [datetime(2026, 10, 24, 12, tzinfo=UTC)]
    looks = []

    def sleep(seconds: float) -> None:
        with sa.create_engine(url).connect() as connection:
            looks.append(connection.execute(sa.select(sa.func.max(bank.CLOSED_DAYS.c.booking_date))).scalar())
        now[0] += timedelta(days=1)

    follow_log(log, url, FIRST, SEED, lambda: now[0], sleep, lambda: len(looks) == 3)
    assert looks == [date(2026, 10, 23), date(2026, 10, 24), date(2026, 10, 25)]
    again = keep_books(log, url, None, date(2026, 10, 25), SEED, now[0])
    assert again.days == ()


def test_another_log_is_refused(tmp_path: Path):
    other = tmp_path / "other.csv"
    other.write_text("step,customer\n0,'C1'\n")
    with pytest.raises(ValueError, match="not the simulated company's log"):
        keep_books(other, f"sqlite:///{tmp_path / 'bank.db'}", None, LAST, SEED, datetime(2026, 11, 1, tzinfo=UTC))

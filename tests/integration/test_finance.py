"""Days of the simulated company through Dagster, from the log to audited tables, and one that is blocked."""

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from data.bank.follow import keep_books
from data.simulate import write_log
from expectations.catalog import Lake
from expectations.settings import Settings
from orchestration.definitions import defs
from orchestration.finance.business_day import read_verdict
from orchestration.finance.chain import read_chain
from orchestration.finance.days import blocked_days
from orchestration.finance.demo import demo_days, run_days, write_bank
from orchestration.finance.jobs import nightly_finance
from orchestration.finance.verify import verify
from orchestration.query import run_query
from tests.support.processes import tollgate

ROWS = 6_000
"""A day has so few payments that the bank's usual mistakes are a handful."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake whose silver and gold are published, and a log."""
    folder = tmp_path_factory.mktemp("finance")
    write_log(folder / ".tollgate" / "source" / "company.csv", ROWS, 7, days=12)
    assert tollgate(folder, "keygen").returncode == 0
    assert tollgate(folder, "chunk", "--once", "--chunk-size", "10000").returncode == 0
    assert tollgate(folder, "publish").returncode == 0
    return folder


@pytest.fixture
def inside(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def test_days_go_through_the_graph_in_order(inside: Path):
    settings = Settings()
    lake = Lake(settings.lake)
    week = demo_days(lake)
    assert len(week) == 7 and week[-1] == date(2026, 10, 30)
    days = week[-3:]
    write_bank(settings, days)
    config = {"resources": {"platform": {"config": {"unsigned_approvals": True}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        done = [*run_days(settings, days, instance, config, defs)]
        events = instance.fetch_materializations(dg.AssetKey("audited_day_status"), limit=20).records
    assert [each.day for each in done] == days
    assert {record.partition_key for record in events} == {day.isoformat() for day in days}
    status = run_query(lake, "SELECT business_date, status, payments FROM finance.audited_day_status").to_pylist()
    assert [row["business_date"] for row in status] == days and {row["status"] for row in status} == {"audited"}
    silver = run_query(
        lake,
        "SELECT business_date, count(*) AS payments FROM silver.payments_enriched_silver WHERE event_type IN "
        "('capture', 'refund', 'chargeback') OR (processor NOT IN ('acquira', 'clearbridge') AND (event_type = "
        "'reversal' OR (event_type = 'authorisation' AND is_approved))) GROUP BY 1 ORDER BY 1",
    ).to_pylist()
    settled = {row["business_date"]: row["payments"] for row in silver}
    assert {row["business_date"]: row["payments"] for row in status} == {day: settled[day] for day in days}
    assert verify(lake).findings == ()


def add_to_batches(settings: Settings, day: date, more: int) -> None:
    """Changes what the bank says of its batches' totals."""
    change = "UPDATE settlement_batches SET amount_minor = amount_minor + :more, net_minor = net_minor + :more "
    engine = sa.create_engine(settings.core_banking)
    with engine.begin() as connection:
        connection.execute(sa.text(change + "WHERE booking_date = :day"), {"day": day.isoformat(), "more": more})
    engine.dispose()


def test_a_blocked_day_shows_why_in_dagster_and_publishes_nothing(inside: Path):
    """Another attempt at the last day, with a bank whose totals are not those of its entries."""
    settings = Settings()
    lake = Lake(settings.lake)
    day = max(link.manifest.business_date for link in read_chain(lake))
    before = len(read_chain(lake))
    add_to_batches(settings, day, 1)
    job = defs.resolve_job_def("daily_finance")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(partition_key=day.isoformat(), instance=instance, raise_on_error=False)
        evaluations = {found.check_name: found for found in result.get_asset_check_evaluations()}
    assert not result.success
    failed = evaluations["ledger_is_complete"]
    assert not failed.passed and failed.blocking and "batches whose totals are not those" in failed.description
    assert not result.asset_materializations_for_node("audited_tables")
    assert len(read_chain(lake)) == before
    assert "ledger_is_complete" in blocked_days(lake)[day]
    add_to_batches(settings, day, -1)


def test_the_nightly_schedule_asks_for_the_days_that_are_due(inside: Path):
    newest = max(link.manifest.business_date for link in read_chain(Lake(Settings().lake)))
    now = dg.build_schedule_context(
        scheduled_execution_time=date_time(newest + timedelta(days=3)), resources={"platform": _platform()}
    )
    requested = nightly_finance(now)
    assert [request.partition_key for request in requested] == [
        (newest + timedelta(days=more)).isoformat() for more in (1, 2)
    ]


def date_time(day: date):
    from datetime import UTC, datetime

    return datetime(day.year, day.month, day.day, 0, 30, tzinfo=UTC)


def _platform():
    from orchestration.resources import Platform

    return Platform()


def test_the_commands_do_what_the_graph_does(inside: Path):
    lake = Lake(Settings().lake)
    day = max(link.manifest.business_date for link in read_chain(lake)).isoformat()

    def says(*arguments: str) -> str:
        done = tollgate(inside, "finance", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"{day} was published already as version 1" in says("run", day)
    assert "consistent, not authenticated" in says("verify", "--all")
    assert "the same output, with the same code" in says("replay", day)
    assert day in says("days")
    assert "breaks at the end of" in says("breaks")
    says("pack", day, "--out", "pack.xlsx")
    assert "audited" in says("as-of", "2027-01-01")
    refused = tollgate(inside, "finance", "run", "2026-11-20")
    assert refused.returncode == 2 and "the bank has not closed 2026-11-20" in refused.stderr
    assert tollgate(inside, "finance", "days", "--nonsense").returncode == 2


def test_the_workbook_holds_the_day(inside: Path):
    from openpyxl import load_workbook

    book = load_workbook(inside / "pack.xlsx")
    assert book.sheetnames == ["Summary", "Settlement", "Fees", "Breaks", "Sign-off", "Proof"]
    lake = Lake(Settings().lake)
    totals = read_chain(lake)[-1].manifest.totals
    rows = {row[0]: row for row in book["Summary"].iter_rows(min_row=4, values_only=True) if row[0] in totals}
    assert {currency: row[1] for currency, row in rows.items()} == {c: f["payments"] for c, f in totals.items()}
    assert float(rows["EUR"][2]) == pytest.approx(totals["EUR"]["gross_minor"] / 100)
    assert "consistent, not authenticated" in {row[1] for row in book["Proof"].iter_rows(values_only=True)}


def test_the_bank_keeps_days_that_it_has_closed(inside: Path):
    settings = Settings()
    again = keep_books(settings.log, settings.core_banking, None, date(2026, 10, 30), 11, settings.clock())
    assert again.days == () and again.entries == 0


def test_the_truth_is_told_beside_the_books(inside: Path):
    done = tollgate(inside, "simulate-bank", "--last-day", "2026-10-30", "--truth", "truth.csv")
    assert done.returncode == 0, done.stderr
    assert (inside / "truth.csv").read_text().startswith('"break_type","business_date","reference"')
    assert read_verdict(Lake(Settings().lake), date(2026, 10, 30)) is not None

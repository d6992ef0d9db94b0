"""From frozen inputs to published versions: order, restatements, stale days, approvals, what readers see."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from expectations.catalog import Lake
from expectations.thresholds import FinancePolicy
from orchestration.finance.actions import ActionKind
from orchestration.finance.approvals import NothingToApprove, approve_day
from orchestration.finance.breaks import NoSuchBreak, act, list_breaks
from orchestration.finance.business_day import NotInOrder, read_verdict, staging_folder
from orchestration.finance.chain import ChainMoved, append, current_days, read_chain
from orchestration.finance.days import day_states, due_days
from orchestration.finance.files import FileTampered, output_path
from orchestration.finance.history import query_at
from orchestration.finance.publishing import DayBlocked, ReasonMissing
from orchestration.finance.replay import replay
from orchestration.finance.restatement import compare
from orchestration.finance.signatures import KeyUnusable, SameSigner, make_key, register
from orchestration.finance.snapshots import BANK, InputMissing, folder, newest_snapshot
from orchestration.finance.verify import verify
from orchestration.query import NothingPublished, run_query
from tests.support.finance import DAY, Books, entries, payments, plain_day

NEXT = DAY + timedelta(days=1)
THIRD = DAY + timedelta(days=2)
STRICT = FinancePolicy(explained_within_days=0)
"""Every break needs a controller on the day after it opened."""


@pytest.fixture
def books(tmp_path: Path) -> Books:
    made = Books(Lake(tmp_path / "lake"))
    made.open()
    return made


def statuses(books: Books) -> dict:
    return {state.business_date: (state.status, state.version) for state in day_states(books.lake)}


def test_a_day_is_published_with_its_tables(books: Books):
    published = books.run(*plain_day(DAY))
    manifest = published.link.manifest
    assert published.is_new and (manifest.version, manifest.sequence) == (1, 2)
    assert manifest.totals == {
        "EUR": {
            "payments": 3,
            "gross_minor": 3000,
            "refunds_minor": 0,
            "chargebacks_minor": 0,
            "reversals_minor": 0,
            "fees_minor": 90,
            "net_minor": 2910,
            "carried_in_minor": 0,
            "bank_net_minor": 2910,
            "open_breaks_minor": 0,
            "written_off_minor": 0,
            "open_breaks": 0,
        }
    }
    found = run_query(books.lake, f"select * from finance.audited_daily_settlement where business_date = '{DAY}'")
    assert [(row["merchant_id"], row["net_minor"]) for row in found.to_pylist()] == [("M1", 2910)]
    assert verify(books.lake).findings == ()
    assert all(check.passed for check in manifest.checks) and len(manifest.checks) == 10


def test_publishing_it_again_is_nothing_new(books: Books):
    first = books.run(*plain_day(DAY))
    again = books.run(*plain_day(DAY))
    assert not again.is_new and again.link == first.link and len(read_chain(books.lake)) == 2


def test_a_day_needs_the_day_before(books: Books):
    with pytest.raises(NotInOrder, match=f"{NEXT} cannot be reconciled: {DAY} is not audited"):
        books.run(*plain_day(NEXT), day=NEXT)


def test_a_day_needs_both_sides(books: Books):
    with pytest.raises(InputMissing, match="the bank's day 2026-10-12 has not been frozen"):
        books.judge()


def test_an_empty_day_is_audited_too(books: Books):
    assert books.run().is_new
    assert statuses(books) == {DAY: ("audited", 1)}
    assert books.run(*plain_day(NEXT), day=NEXT).is_new


def test_a_break_is_carried_to_the_day_on_which_it_closes(books: Books):
    books.run(payments({"transaction_id": "T1"}), entries())
    late = entries({"entry_id": 7, "reference": "T1", "booking_date": NEXT})
    books.run(None, late, NEXT)
    rows = run_query(
        books.lake, "select business_date, status, resolution, age_days from finance.audited_daily_breaks order by 1"
    ).to_pylist()
    assert [tuple(row.values()) for row in rows] == [(DAY, "open", None, 0), (NEXT, "closed", "late_posting", 1)]


def test_a_restatement_needs_a_reason_and_makes_later_days_stale(books: Books):
    platform, bank = plain_day(DAY)
    books.run(platform, bank)
    books.run(*plain_day(NEXT), day=NEXT)
    books.run(*plain_day(THIRD), day=THIRD)
    before = books.now
    books.now += timedelta(hours=1)
    more = (payments(*platform.to_pylist(), {"transaction_id": "T9"}), bank)
    with pytest.raises(ReasonMissing, match=r"is audited \(version 1\), and would be restated"):
        books.run(*more)
    assert statuses(books)[DAY] == ("audited", 1)
    restated = books.run(*more, reason="a late payment")
    assert restated.stale == (NEXT, THIRD)
    assert statuses(books) == {DAY: ("restated", 2), NEXT: ("stale", 1), THIRD: ("stale", 1)}
    with pytest.raises(NotInOrder, match=f"{THIRD} cannot be reconciled: {NEXT} is stale"):
        books.run(*plain_day(THIRD), day=THIRD)
    assert books.run(*plain_day(NEXT), day=NEXT).link.manifest.reason == "a day before it was restated"
    books.run(*plain_day(THIRD), day=THIRD)
    assert statuses(books) == {DAY: ("restated", 2), NEXT: ("restated", 2), THIRD: ("restated", 2)}
    assert verify(books.lake).findings == ()

    then = query_at(books.lake, "select business_date, version, status from finance.audited_day_status", before)
    assert [tuple(row.values()) for row in then.to_pylist()] == [(day, 1, "audited") for day in (DAY, NEXT, THIRD)]
    with pytest.raises(NothingPublished):
        query_at(books.lake, "select 1", before - timedelta(days=1))

    found = compare(books.lake, DAY, 1, 2)
    assert [(cause.cause, cause.rows, cause.net) for cause in found.causes] == [("payment added", 1, "9.70 EUR")]
    changed = {change.table: (change.added, change.removed, change.changed) for change in found.tables}
    assert changed["audited_daily_settlement"] == (0, 0, 1) and changed["audited_daily_breaks"] == (1, 0, 0)
    carried = compare(books.lake, NEXT, 1, 2)
    assert [cause.cause for cause in carried.causes] == ["carried-over row added"]


def test_a_replay_gives_the_same_hashes(books: Books):
    books.run(payments({"transaction_id": "T1"}, {"transaction_id": "T2"}), entries({"reference": "T2"}))
    books.run(*plain_day(NEXT), day=NEXT)
    for day in (DAY, NEXT):
        found = replay(books.lake, day)
        assert found.differences == () and found.is_same_code and all(table.is_same for table in found.tables)


def test_a_replay_says_what_differs(books: Books, monkeypatch: pytest.MonkeyPatch):
    books.run(payments({"transaction_id": "T1"}), entries({"reference": "T1", "amount_minor": 999}))
    from orchestration.finance import reconcile

    monkeypatch.setattr(reconcile, "_GROUPS", reconcile._GROUPS.replace("'amount_mismatch'", "'fee_mismatch'"))
    found = replay(books.lake, DAY)
    assert {table.table for table in found.tables if not table.is_same} == {"audited_daily_breaks", "open_items"}
    assert any("amount_mismatch" in line for line in found.differences)


def a_blocked_day(books: Books) -> str:
    """A break that is too old to explain anything; gives its identity."""
    books.policy = STRICT
    books.run(payments({"transaction_id": "T1"}), entries())
    with pytest.raises(DayBlocked, match="unexplained_within_tolerance"):
        books.run(*plain_day(NEXT), day=NEXT)
    assert statuses(books)[NEXT] == ("blocked", 0)
    (row,) = list_breaks(books.lake, None, is_open_only=True, older_than_days=0).rows
    return row[0]


def test_a_day_beyond_tolerance_is_blocked_and_changes_nothing(books: Books):
    a_blocked_day(books)
    assert len(read_chain(books.lake)) == 2
    assert run_query(books.lake, "select max(business_date) d from finance.audited_day_status").to_pylist() == [
        {"d": DAY}
    ]


def test_a_tolerance_lets_it_pass(books: Books):
    a_blocked_day(books)
    books.policy = FinancePolicy(explained_within_days=0, tolerance_minor={"EUR": 1030})
    assert books.run(*plain_day(NEXT), day=NEXT).is_new


def test_what_a_controller_resolves_is_written_off(books: Books):
    break_id = a_blocked_day(books)
    act(books.lake, break_id, ActionKind.ASSIGN, "carol", "dave", books.now)
    act(books.lake, break_id, ActionKind.RESOLVE, "carol", "the customer was paid back by hand", books.now)
    manifest = books.run(*plain_day(NEXT), day=NEXT).link.manifest
    assert manifest.totals["EUR"]["written_off_minor"] == 970
    assert [action["break_id"] for action in manifest.actions] == [break_id]
    assert "the customer was paid back" in list_breaks(books.lake, NEXT, False).rows[0][-1]
    with pytest.raises(NoSuchBreak):
        act(books.lake, break_id, ActionKind.COMMENT, "carol", "done", books.now)
    assert replay(books.lake, NEXT).differences == ()


def keys(books: Books, *names: str) -> list[Path]:
    paths = [books.lake.root / f"{name}.pem" for name in names]
    for name, path in zip(names, paths, strict=True):
        register(books.registry, name, make_key(path), books.now)
    return paths


def test_maker_and_checker_sign_for_a_blocked_day(books: Books):
    a_blocked_day(books)
    alice, bob = keys(books, "alice", "bob")
    stranger = books.lake.root / "stranger.pem"
    make_key(stranger)

    def sign(key: Path | None):
        return approve_day(books.lake, NEXT, "seen by treasury", key, books.registry, books.now)

    with pytest.raises(KeyUnusable, match="not registered"):
        sign(stranger)
    assert sign(alice).role == "maker"
    with pytest.raises(SameSigner, match="alice has signed"):
        sign(alice)
    with pytest.raises(DayBlocked):
        books.judge(NEXT)
        books.publisher.publish(NEXT)
    assert sign(bob).role == "checker"
    books.judge(NEXT)
    manifest = books.publisher.publish(NEXT).link.manifest
    assert [(approval["role"], approval["by"]) for approval in manifest.approvals] == [
        ("maker", "alice"),
        ("checker", "bob"),
    ]
    assert verify(books.lake, registry=books.registry).findings == ()


def test_signatures_are_for_one_attempt_only(books: Books):
    a_blocked_day(books)
    for key in keys(books, "alice", "bob"):
        approve_day(books.lake, NEXT, "seen", key, books.registry, books.now)
    platform, bank = plain_day(NEXT, 4)
    with pytest.raises(DayBlocked):
        books.run(platform, bank, NEXT)


def test_unsigned_approvals_count_in_a_demo_only(books: Books):
    a_blocked_day(books)
    for _ in range(2):
        approve_day(books.lake, NEXT, "demo", None, books.registry, books.now)
    with pytest.raises(DayBlocked):
        books.judge(NEXT)
        books.publisher.publish(NEXT)
    books.judge(NEXT, unsigned_allowed=True)
    books.publisher.publish(NEXT)
    found = verify(books.lake)
    assert found.findings == () and "approved without signatures" in found.notes[0]


def test_only_tolerance_can_be_signed_for(books: Books):
    with pytest.raises(NothingToApprove, match="not blocked"):
        approve_day(books.lake, DAY, "why not", None, books.registry, books.now)
    platform, bank = plain_day(DAY)
    books.freeze(platform, bank)
    path = next(folder(books.lake, BANK, DAY).glob("*/ledger_batches.parquet"))
    path.write_bytes(path.with_name("ledger_entries.parquet").read_bytes()[:-1])
    with pytest.raises(Exception):  # noqa: B017 - whatever reads it says so
        books.judge()


def test_what_is_staged_cannot_be_changed_after_it_was_judged(books: Books):
    books.run(payments({"transaction_id": "T1"}), entries())
    books.freeze(*plain_day(NEXT), NEXT)
    books.judge(NEXT)
    place = staging_folder(books.lake, NEXT)
    (place / "audited_daily_breaks.parquet").write_bytes(
        (staging_folder(books.lake, DAY) / "audited_daily_breaks.parquet").read_bytes()
    )
    with pytest.raises(DayBlocked, match="is not what was judged"):
        books.publisher.publish(NEXT)


def test_a_check_that_was_not_made_did_not_pass(books: Books):
    books.freeze(*plain_day(DAY))
    books.judge()
    verdict = read_verdict(books.lake, DAY)
    shorter = verdict.model_copy(update={"checks": verdict.checks[:-1]})
    (staging_folder(books.lake, DAY) / "verdict.json").write_text(shorter.model_dump_json())
    with pytest.raises(DayBlocked, match="was not made"):
        books.publisher.publish(DAY)


def test_of_two_publications_at_once_one_comes_first(books: Books):
    first = books.run(*plain_day(DAY))
    draft = {name: getattr(first.link.manifest, name) for name in type(first.link.manifest).model_fields}
    from orchestration.finance.chain import Draft

    again = Draft(**{name: value for name, value in draft.items() if name not in ("format", "sequence", "previous")})
    with pytest.raises(ChainMoved):
        append(books.lake, again, first.link.manifest.previous)
    assert len(read_chain(books.lake)) == 2


def test_days_that_are_due_come_in_order_and_a_blocked_one_alone(books: Books, tmp_path: Path):
    assert due_days(Lake(tmp_path / "other"), books.now) == []
    books.now = books.now.replace(month=10, day=15, hour=1)
    assert due_days(books.lake, books.now) == [DAY, NEXT, THIRD]
    a_blocked_day(books)
    assert due_days(books.lake, books.now) == [NEXT]


def test_an_opening_precedes_everything(books: Books):
    with pytest.raises(NotInOrder, match="the books are open already"):
        books.open(NEXT)
    assert [link.manifest.kind for link in current_days(read_chain(books.lake)).values()] == ["opening"]


def test_the_same_day_read_again_is_the_same_snapshot(books: Books):
    platform, bank = plain_day(DAY)
    books.freeze(platform, bank)
    first = newest_snapshot(books.lake, BANK, DAY)
    kept = {path: path.read_bytes() for path in folder(books.lake, BANK, DAY).rglob("*") if path.is_file()}
    books.now += timedelta(hours=1)
    books.freeze(platform, bank)
    assert newest_snapshot(books.lake, BANK, DAY) == first
    assert {path: path.read_bytes() for path in folder(books.lake, BANK, DAY).rglob("*") if path.is_file()} == kept
    books.freeze(platform, entries())
    other = newest_snapshot(books.lake, BANK, DAY)
    assert other.snapshot != first.snapshot
    books.freeze(platform, bank)
    assert newest_snapshot(books.lake, BANK, DAY) == first
    assert all(path.read_bytes() == content for path, content in kept.items())


@pytest.mark.parametrize("first", [date(2026, 10, 30), date(2026, 12, 30), date(2028, 2, 27)])
def test_months_end_like_any_other_day(tmp_path: Path, first: date):
    books = Books(Lake(tmp_path / "lake"), now=datetime(2028, 4, 1, tzinfo=UTC))
    books.open(first)
    days = [first + timedelta(days=at) for at in range(4)]
    for day in days:
        books.run(*plain_day(day), day=day)
    assert list(statuses(books)) == days and set(statuses(books).values()) == {("audited", 1)}


def test_a_damaged_file_is_not_published_again(books: Books):
    platform, bank = plain_day(DAY)
    link = books.run(platform, bank).link
    path = output_path(books.lake, link.manifest.outputs["audited_daily_settlement"])
    path.write_bytes(path.read_bytes()[:-10])
    more = (payments(*platform.to_pylist(), {"transaction_id": "T9"}), bank)
    books.run(*more, reason="late")
    with pytest.raises(FileTampered, match="not a file of audited_daily_settlement"):
        books.run(platform, bank, reason="and back")

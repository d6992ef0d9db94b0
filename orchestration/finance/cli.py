"""`tollgate finance`: what finance, its auditors and its controllers do with business days."""

import getpass
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.places import Location
from expectations.settings import load_settings
from expectations.thresholds import FINANCE
from orchestration.options import LakeOption

if TYPE_CHECKING:
    from orchestration.finance.publishing import Publisher

app = typer.Typer(help=__doc__, no_args_is_help=True)
_screen = Console()
_WIDE = 10_000

Day = Annotated[str, typer.Argument(metavar="DAY", help="Business day: 2026-10-31.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it. [default: the user of this machine]")]
BreakId = Annotated[str, typer.Argument(metavar="BREAK", help="Identity of a break.")]


@app.command()
def days(lake: LakeOption = None) -> None:
    """Which days are audited, blocked, restated, stale, or candidates for a restatement."""
    from orchestration.finance.days import day_states

    table = Table("day", "status", "version", "payments", "open breaks", "late payments", "in the chain", "why")
    colours = {"audited": "green", "restated": "cyan", "stale": "yellow", "blocked": "red"}
    for state in day_states(_lake(lake)):
        table.add_row(
            str(state.business_date),
            Text(state.status, style=colours[state.status]),
            str(state.version or ""),
            f"{state.payments:,}",
            f"{state.open_breaks:,}",
            f"{state.late_payments:,}" if state.late_payments else "",
            str(state.sequence or ""),
            state.why,
        )
    _show(table)


@app.command("open")
def open_(
    day: Day,
    reason: Annotated[str, typer.Option(help="Why the books begin here.")],
    lake: LakeOption = None,
    by: By = None,
) -> None:
    """Declares what the first day starts from: no open breaks, and the bank's balances of the day before."""
    from orchestration.finance.extraction import connect

    settings, first = load_settings(lake=lake), _day(day)
    bank = connect(settings.core_banking, FINANCE.bank_date_basis)
    balances = bank.read_balances(first - timedelta(days=1))
    link = _publisher(lake, by).declare_opening(first, balances, reason)
    _screen.print(f"{first} opens with {balances.num_rows} accounts; manifest {link.hash}", soft_wrap=True)


@app.command()
def run(
    day: Day,
    lake: LakeOption = None,
    reason: Annotated[str | None, typer.Option(help="Why an audited day is restated.")] = None,
    by: By = None,
) -> None:
    """Freezes both sides of a day, reconciles it and, if it passes the gate, publishes it. What the night does."""
    from orchestration.finance.nightly import run_day

    settings = load_settings(lake=lake)
    done = run_day(settings, _day(day), _publisher(lake, by), reason)
    manifest = done.link.manifest
    news = "published as" if done.is_new else "was published already as"
    _screen.print(
        f"{day} {news} version {manifest.version}, sequence {manifest.sequence}; manifest {done.link.hash}",
        soft_wrap=True,
        highlight=False,
    )
    if done.stale:
        _screen.print(f"to be run again, in order: {', '.join(map(str, done.stale))}", style="yellow")


@app.command()
def verify(
    day: Annotated[str | None, typer.Argument(metavar="[DAY]", help="Business day; all without one.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every day.")] = False,
    lake: LakeOption = None,
    head: Annotated[str | None, typer.Option(help="The head's hash, as somebody outside has kept it.")] = None,
) -> None:
    """Recomputes every hash from the files, and names the first one that was tampered with."""
    from orchestration.finance.verify import verify as verified

    if day and all_:
        raise typer.BadParameter("give a day, or --all")
    settings = load_settings(lake=lake)
    found = verified(
        Lake(settings.lake),
        days={_day(day)} if day else None,
        expected_head=head,
        registry=settings.finance_keys,
    )
    for note in found.notes:
        _screen.print(f"note: {note}", soft_wrap=True, highlight=False)
    if found.findings:
        first, *others = found.findings
        for finding in others[:20]:
            _screen.print(str(finding), soft_wrap=True, highlight=False)
        raise TollgateError(f"tampered: {first}", remedy="compare with a copy; nothing here was changed by verifying")
    _screen.print(
        f"{found.links:,} manifests, {found.tables:,} tables, {found.rows:,} rows: "
        f"{'authenticated' if found.is_authenticated else 'consistent, not authenticated'}; head {found.head}",
        soft_wrap=True,
        highlight=False,
    )


@app.command()
def replay(
    day: Day,
    lake: LakeOption = None,
    version: Annotated[int | None, typer.Option(help="[default: the current one]")] = None,
) -> None:
    """Computes a day again from its frozen inputs and its recorded configuration, and compares."""
    from orchestration.finance.replay import replay as replayed

    found = replayed(_lake(lake), _day(day), version)
    table = Table("table", "rows", "published", "replayed", "")
    for row in found.tables:
        table.add_row(row.table, f"{row.rows:,}", row.published, row.replayed, "same" if row.is_same else "DIFFERENT")
    _show(table)
    code = (
        "the same code"
        if found.is_same_code
        else f"other code ({found.code_then[:16]} then, {found.code_now[:16]} now)"
    )
    if found.differences:
        for difference in found.differences:
            _screen.print(difference, soft_wrap=True, highlight=False)
        raise TollgateError(f"{day} version {found.version} does not come out the same, with {code}")
    _screen.print(f"{day} version {found.version}: the same output, with {code}", soft_wrap=True, highlight=False)


@app.command()
def diff(
    day: Day,
    from_: Annotated[int, typer.Option("--from", help="Version.")],
    to: Annotated[int, typer.Option("--to", help="Version.")],
    lake: LakeOption = None,
) -> None:
    """What a restatement changed: rows and money, by cause."""
    from orchestration.finance.restatement import compare

    found = compare(_lake(lake), _day(day), from_, to)
    causes = Table("cause", "rows", "currency", "net", title=f"{day}: version {from_} to {to}", title_justify="left")
    for cause in found.causes:
        causes.add_row(cause.cause, f"{cause.rows:,}", cause.currency, cause.net)
    _show(causes)
    changes = Table("table", "added", "removed", "changed")
    for change in found.tables:
        changes.add_row(change.table, f"{change.added:,}", f"{change.removed:,}", f"{change.changed:,}")
    _show(changes)


@app.command("as-of")
def as_of(
    instant: Annotated[str, typer.Argument(metavar="DATE", help="2026-11-03, or an instant: 2026-11-03T10:00:00Z.")],
    query: Annotated[str, typer.Argument(help="Over the schema finance.")] = "select * from finance.audited_day_status",
    lake: LakeOption = None,
) -> None:
    """The tables as they were published then; of a date, at its end (UTC)."""
    from orchestration.finance.history import query_at

    found = query_at(_lake(lake), query, _instant(instant))
    table = Table(*found.column_names)
    for row in found.to_pylist():
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    _show(table)


@app.command()
def breaks(
    lake: LakeOption = None,
    open_: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    older_than: Annotated[str | None, typer.Option(help="Only those that opened more days ago: 3d.")] = None,
    day: Annotated[str | None, typer.Option(help="At the end of that day. [default: the newest]")] = None,
) -> None:
    """Breaks, with what was done about them."""
    from orchestration.finance.breaks import list_breaks

    found = list_breaks(_lake(lake), _day(day) if day else None, open_, _days(older_than) if older_than else -1)
    table = Table(
        "break", "type", "status", "about", "merchant", "amount", "fee", "age", "assigned to", "last word",
        title=found.title, title_justify="left",
    )  # fmt: skip
    for row in found.rows:
        table.add_row(*row)
    _show(table)


@app.command()
def assign(
    break_id: BreakId,
    to: Annotated[str, typer.Option(help="Who looks into it.")],
    lake: LakeOption = None,
    by: By = None,
) -> None:
    """Gives a break to somebody."""
    _act(lake, break_id, "assign", to, by)


@app.command()
def comment(break_id: BreakId, text: str, lake: LakeOption = None, by: By = None) -> None:
    """Says something about a break."""
    _act(lake, break_id, "comment", text, by)


@app.command()
def resolve(
    break_id: BreakId,
    reason: Annotated[str, typer.Option(help="Why it may be written off.")],
    lake: LakeOption = None,
    by: By = None,
) -> None:
    """Writes off what is still open of a break, from the next day that is run on."""
    _act(lake, break_id, "resolve", reason, by)


@app.command()
def approve(
    day: Day,
    reason: Annotated[str, typer.Option(help="Why the day may be published.")],
    key: Annotated[Path, typer.Option(help="File of a private key whose public one is registered.")],
    lake: LakeOption = None,
) -> None:
    """Signs for a day that is blocked by tolerance: first the maker, then, with another key, the checker."""
    from orchestration.finance.approvals import approve_day

    settings = load_settings(lake=lake)
    approval = approve_day(Lake(settings.lake), _day(day), reason, key, settings.finance_keys, settings.clock())
    following = "now another person signs" if approval.role == "maker" else f"now run it: tollgate finance run {day}"
    _screen.print(
        f"{approval.by} has signed for {day} as {approval.role}; {following}", highlight=False, soft_wrap=True
    )


@app.command()
def keygen(
    name: Annotated[str, typer.Option(help="Whose key it is.")],
    out: Annotated[Path, typer.Option(help="Where the private key goes.")],
) -> None:
    """Makes a key for somebody who signs, and registers its public half."""
    from orchestration.finance.signatures import make_key, register

    settings = load_settings()
    register(settings.finance_keys, name, make_key(out), settings.clock())
    _screen.print(f"{out}: keep it to yourself; {name} is registered in {settings.finance_keys}", soft_wrap=True)


@app.command()
def pack(
    day: Day,
    out: Annotated[Path, typer.Option(help="The workbook to write: pack.xlsx.")],
    lake: LakeOption = None,
) -> None:
    """A day as a workbook: summary, settlement, fees, breaks, sign-off, proof."""
    from orchestration.finance.pack import write_pack

    settings = load_settings(lake=lake)
    write_pack(Lake(settings.lake), _day(day), out, settings.finance_keys)
    _screen.print(str(out), soft_wrap=True)


def _act(lake: Location | None, break_id: str, kind: str, text: str, by: str | None) -> None:
    from orchestration.finance.actions import ActionKind
    from orchestration.finance.breaks import act

    settings = load_settings(lake=lake)
    action = act(Lake(settings.lake), break_id, ActionKind(kind), by or getpass.getuser(), text, settings.clock())
    _screen.print(f"{action.break_id}: {action.kind} by {action.by}: {action.text}", highlight=False, soft_wrap=True)


def _publisher(lake: Location | None, by: str | None) -> "Publisher":
    from orchestration.finance.publishing import make_publisher

    return make_publisher(load_settings(lake=lake), by or getpass.getuser())


def _lake(lake: Location | None) -> Lake:
    return Lake(load_settings(lake=lake).lake)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise TollgateError(f"{text!r} is no business day", remedy="write it like 2026-10-31") from error


def _days(text: str) -> int:
    found = re.fullmatch(r"(\d+)d?", text)
    if not found:
        raise TollgateError(f"{text!r} is no number of days", remedy="write it like 3d")
    return int(found[1])


def _instant(text: str) -> datetime:
    """An instant; a date stands for its end, in UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise TollgateError(f"{text!r} is no date", remedy="write it like 2026-11-03") from error
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return instant + timedelta(days=1) - timedelta(microseconds=1) if re.fullmatch(r"[\d-]{10}", text) else instant


def _show(table: Table) -> None:
    Console(width=_WIDE).print(table, crop=False)

"""The `tollgate` command: the steps of the platform without the UI. Exits 0, or 2 with one line."""

import csv
import json
import math
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from expectations.card_numbers import mask_long_numbers
from expectations.errors import TollgateError
from expectations.places import is_local, location, written_here
from expectations.settings import load_settings
from orchestration.finance.cli import app as finance
from orchestration.options import LakeOption, place

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(finance, name="finance")
_screen = Console()
_WIDEST = 10_000
_errors = Console(stderr=True, soft_wrap=True)

Log = Annotated[Any, place("--log", help="The transaction log: ours, BankSim or card transactions, .csv or .csv.gz.")]
Cards = Annotated[Any, place("--cards", help="Card-transactions logs: the file with their cards.")]
Users = Annotated[Any, place("--users", help="Card-transactions logs: the file with their customers.")]
ChunkSize = Annotated[int | None, typer.Option("--chunk-size", min=1, max=1_000_000, help="Entries per grid cell.")]


class Format(StrEnum):
    csv = "csv"
    table = "table"


class Rendering(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"


def main() -> None:
    """Runs the command; a condition that a person can mend becomes one line and exit code 2."""
    warnings.filterwarnings("ignore", message=".*is currently in beta.*")
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except typer.TyperException as error:
        _stop(f"{error.format_message()} - see `tollgate --help`")
    except TollgateError as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{error.strerror or error} ({error.filename})" if error.filename else str(error))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception:
        # Nobody foresaw it, so all of it is shown, but for what may be a card number: libraries quote what they read.
        sys.stderr.write(mask_long_numbers(traceback.format_exc()))
        sys.exit(1)


def _stop(why: str) -> NoReturn:
    _errors.print(f"tollgate: {' '.join(why.split())}", style="red", markup=False, highlight=False)
    sys.exit(2)


@app.command()
def demo(
    log: Log = None,
    lake: LakeOption = None,
    chunk_size: ChunkSize = None,
    cards: Cards = None,
    users: Users = None,
) -> None:
    """Runs the whole graph once through Dagster, on a made-up company's log or on yours."""
    from orchestration.demo import run_demo

    run_demo(log, lake, chunk_size, cards, users, _screen)


@app.command()
def ui(
    rate: Annotated[float, typer.Option(help="Events per second that the simulated company appends.")] = 200.0,
    port: Annotated[int, typer.Option(help="Port of the web server.")] = 3000,
    host: Annotated[str, typer.Option(help="Address on which it listens.")] = "127.0.0.1",
) -> None:
    """Dagster's web server and daemon with the sensors on, and a company that keeps paying."""
    from orchestration.live import run_live

    run_live(load_settings(), rate, host, port, _screen)


@app.command()
def simulate(
    out: Annotated[Any, place("--out", help="The log to write.")],
    rows: Annotated[int | None, typer.Option(min=1, help="How many events. [default: 400000]")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    follow: Annotated[bool, typer.Option("--follow", help="Append in real time, until interrupted.")] = False,
    rate: Annotated[float, typer.Option(min=0.1, help="Events per second, with --follow.")] = 1000.0,
) -> None:
    """Writes the transaction log of a simulated company, and its ground truth beside it."""
    from data.simulate import follow_log, write_log
    from expectations.card_numbers import make_token_key
    from expectations.clock import system_clock

    settings = load_settings()
    if settings.token_key is None:
        make_token_key(settings.token_key_file)
    with _mendable(ValueError, RuntimeError):
        if follow and not is_local(out):
            raise TollgateError("S3 has no appending", where=out, remedy="follow into a file, or write a whole log")
        if follow:
            follow_log(out, rate, seed, clock=system_clock, sleep=time.sleep, stop=lambda: False)
        else:
            with _progress("simulating", rows or 400_000) as advance, written_here(out) as path:
                simulation = write_log(path, rows or 400_000, seed, on_progress=advance)
            _screen.print(f"{simulation.rows:,} events, {simulation.frauds:,} of them fraud: {out}", soft_wrap=True)


@app.command("simulate-bank")
def simulate_bank(
    log: Log = None,
    first_day: Annotated[str | None, typer.Option(help="Where its books begin. [default: the log's first]")] = None,
    last_day: Annotated[str | None, typer.Option(help="The last one. [default: yesterday]")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same mistakes.")] = 11,
    truth: Annotated[Any, place("--truth", help="Where the truth about its mistakes goes, as CSV.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Close each day as it ends, until interrupted.")] = False,
) -> None:
    """Keeps a core bank's books of a simulated company's log, with mistakes. Days that are closed stay as they are."""
    from data.bank.follow import follow_log, keep_books

    settings = load_settings(log=log)
    days = [_business_day(text) if text else None for text in (first_day, last_day)]
    with _mendable(ValueError):
        if follow:
            follow_log(settings.log, settings.core_banking, days[0], seed, settings.clock, time.sleep, lambda: False)
        else:
            with written_here(truth) if truth else nullcontext() as path:
                written = keep_books(settings.log, settings.core_banking, *days, seed, settings.clock(), path)
            _screen.print(
                f"{len(written.days)} days closed, {written.entries:,} journal entries: {settings.core_banking}",
                soft_wrap=True,
                highlight=False,
            )


@app.command()
def chunk(
    log: Log = None,
    lake: LakeOption = None,
    chunk_size: ChunkSize = None,
    cards: Cards = None,
    users: Users = None,
    once: Annotated[bool, typer.Option("--once", help="One tick, then exit.")] = False,
    final: Annotated[bool, typer.Option("--final", help="The log is complete: drain it and exit.")] = False,
) -> None:
    """Cuts the log into chunks: every 5 seconds, or --once, or to the end of a log that is --final."""
    from orchestration.chunking.assemble import make_chunker
    from orchestration.chunking.follow import drain, follow, tick_with_retries

    if once and final:
        raise typer.BadParameter("choose one of --once and --final")
    chunker = make_chunker(load_settings(log=log, lake=lake, chunk_size=chunk_size, cards=cards, users=users))
    with chunker.alone():
        if once:
            ticks: Iterator = iter([tick_with_retries(chunker)])
        elif final:
            ticks = drain(chunker, is_final=True)
        else:
            ticks = follow(chunker, time.monotonic, time.sleep)
        for tick in ticks:
            if tick is not None:
                _screen.print(
                    f"entries {tick.chunk.first:,}-{tick.chunk.last:,}: {tick.rows:,} rows, "
                    f"{tick.quarantined:,} quarantined, {tick.duration_s * 1000:.0f} ms",
                    highlight=False,
                )


@app.command()
def detect(lake: LakeOption = None) -> None:
    """Finds the patterns in what has landed, and exits."""
    from orchestration.detection.assemble import has_work, make_detector

    settings = load_settings(lake=lake)
    if not has_work(settings):
        _screen.print("nothing to detect: no complete grid cell waits")
        return
    from spark_jobs.pattern_detector.stream import work_off

    for batch in work_off(make_detector(settings), owner="tollgate detect"):
        _screen.print(
            f"cells {batch.first_cell}-{batch.last_cell}: {batch.detections} detections, "
            f"{len(batch.files)} files, {batch.duration_s:.2f} s",
            highlight=False,
        )


@app.command("rebuild-bronze")
def rebuild_bronze(lake: LakeOption = None) -> None:
    """Makes bronze anew from the chunk files, or completes it; on a cluster by its executors."""
    from expectations.catalog import Lake
    from spark_jobs.bronze_rebuild import rebuild

    settings = load_settings(lake=lake)
    spark = None
    if settings.delta_connector:
        from spark_jobs.session import start_session

        spark = start_session(settings)
    rows = sum(rebuild(Lake(settings.lake), spark))
    _screen.print(f"{rows:,} rows written to bronze" if rows else "bronze lacks nothing", highlight=False)


@app.command()
def detections(
    lake: LakeOption = None, format: Annotated[Format, typer.Option("--format", help="csv or table.")] = Format.table
) -> None:
    """Every detection so far, written to a file or waiting, in order."""
    from expectations.catalog import Lake
    from spark_jobs.pattern_detector.outbox import read_detections

    found = read_detections(Lake(load_settings(lake=lake).lake))
    columns = ("cell", "pattern_id", "action_type", "customer_id", "merchant_id")
    header = ("chunk", "patternId", "ActionType", "customerName", "MerchantId")
    rows = [[str(row[column]) for column in columns] for row in found.select(columns).to_pylist()]
    if format is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([header, *rows])
    else:
        from rich.table import Table

        table = Table(*header, title=f"{len(rows)} detections")
        for row in rows:
            table.add_row(*row)
        _screen.print(table)


@app.command()
def drain(lake: LakeOption = None) -> None:
    """Writes the detections that wait for a full file into a partial one."""
    from orchestration.detection.assemble import drain_files

    paths = drain_files(load_settings(lake=lake))
    for path in paths:
        _screen.print(str(path), highlight=False, soft_wrap=True)
    if not paths:
        _screen.print("nothing waits")


@app.command()
def publish(lake: LakeOption = None) -> None:
    """Takes what has landed through silver and gold, publishes it if it passes, and exits."""
    from expectations.catalog import Lake
    from orchestration.faults import commit_points
    from orchestration.medallion.increments import Medallion

    settings = load_settings(lake=lake)
    publication = Medallion(Lake(settings.lake), settings.clock, commit_points(settings)).increment().publication
    if publication.failed:
        first = publication.failed[0]
        raise TollgateError(
            f"{len(publication.failed)} checks failed, so nothing was published: {first.check}: {first.summary}",
            remedy="readers still see what was published before; see the checks of published_gold in `make ui`",
        )
    _screen.print(
        f"{publication.new_rows:,} new payments published, of {publication.bronze_rows:,} landed rows, "
        f"as of {publication.as_of:%Y-%m-%d %H:%M:%S} UTC"
        if publication.is_new and publication.as_of
        else "nothing new to publish",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="Over the schemas silver, gold and meta, in DuckDB's SQL.")],
    lake: LakeOption = None,
    format: Annotated[Rendering, typer.Option("--format", help="table, csv or json.")] = Rendering.table,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="T", help="As published at that instant: 2026-10-31T12:00:00Z.")
    ] = None,
) -> None:
    """Asks the published marts, as they are or as they were. Instants are in UTC, amounts in minor units."""
    from expectations.catalog import Lake
    from orchestration.query import run_query

    found = run_query(Lake(load_settings(lake=lake).lake), query, _instant(as_of) if as_of else None)
    rows = (
        row
        for batch in found.to_batches(max_chunksize=10_000)
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    if format is Rendering.json:
        _print_json(found.column_names, rows)
    elif format is Rendering.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(found.column_names)
        writer.writerows([_cell(value) for value in row] for row in rows)
    else:
        _print_table(found.column_names, rows)


@app.command("scan-pan")
def scan_pan(paths: Annotated[list[Any], typer.Argument(parser=location, help="Files and folders.")]) -> None:
    """Looks for card numbers; exits 2 if there are any, and tells where, but never what."""
    from expectations.card_scanner import scan
    from expectations.errors import CardNumberFound

    missing = [path for path in paths if not path.exists()]
    if missing:
        raise TollgateError("no such file or folder", where=missing[0], remedy="check the path")
    report = scan(paths)
    for finding in report.findings[:20]:
        _screen.print(f"{finding.path}: {finding.network} card number at {finding.place}", soft_wrap=True)
    if report.findings:
        raise CardNumberFound(
            f"{len(report.findings):,} card numbers in {report.files:,} files",
            remedy="remove them, and find out how they came there",
        )
    _screen.print(f"no card number in {report.files:,} files ({report.bytes / 1e6:,.1f} MB)", highlight=False)


@app.command()
def keygen(out: Annotated[Path | None, typer.Option(help="Where the key goes.")] = None) -> None:
    """Makes a key for card tokens, readable by you alone. Never overwrites one."""
    from expectations.card_numbers import make_token_key

    path = out or load_settings().token_key_file
    if not make_token_key(path):
        raise TollgateError("there is a key already", where=path, remedy="keep it: another key gives other tokens")
    _screen.print(f"new token key: {path}")


def _business_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise TollgateError(f"{text!r} is no business day", remedy="write it like 2026-10-31") from error


def _instant(text: str) -> datetime:
    """An instant as a person writes it; UTC where no offset says otherwise."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise TollgateError(f"{text!r} is no instant", remedy="write it like 2026-10-31T12:00:00Z") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _print_table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in columns:
        table.add_column(Text(name), no_wrap=True)
    for row in rows:
        values = [*row]
        table.add_row(
            *(
                Text(_cell(value), justify="right" if isinstance(value, int | float | Decimal) else "left")
                for value in values
            )
        )
    # As wide as it needs to be: a line that the terminal breaks is easier to read than a column of single letters.
    Console(width=_WIDEST).print(table, crop=False)


def _print_json(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """One object per row, in a list."""
    lines = (
        json.dumps(dict(zip(columns, map(_json_value, row), strict=True)), ensure_ascii=False, default=_cell)
        for row in rows
    )
    print("[" + ",\n ".join(lines) + "]")


def _json_value(value: object) -> object:
    """JSON knows no NaN and no infinity; DuckDB's sums of integers come as decimals without decimals."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return value


def _cell(value: object) -> str:
    """A value as text; null is empty."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=_cell)
    return str(value)


@contextmanager
def _mendable(*kinds: type[Exception]) -> Iterator[None]:
    """Turns the simulator's own errors into the one line that every command prints."""
    try:
        yield
    except kinds as error:
        raise TollgateError(str(error)) from error


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.progress import Progress

    with Progress(console=_screen, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


if __name__ == "__main__":
    main()

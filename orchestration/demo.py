"""`tollgate demo`: the whole graph once through Dagster, with its progress, and the figures at the end."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from expectations import delta
from expectations.card_numbers import make_token_key
from expectations.catalog import Lake
from expectations.errors import SourceError, TollgateError
from expectations.offset import read_offset
from expectations.places import Location, size_bytes
from expectations.settings import HOME, Settings, load_settings
from expectations.tables import DETECTION_FILES, DETECTIONS
from orchestration.chunking.source_log import open_log, source_name
from orchestration.dagster_home import prepare_dagster_home
from orchestration.finance.demo import DemoDay, demo_days, has_bank, run_days, write_bank
from orchestration.finance.register import FINANCE
from orchestration.mart import current_names
from orchestration.medallion.publishing import published_rows
from orchestration.query import run_query
from spark_jobs.pattern_detector.state import committed_cells

DEMO_ROWS = 400_000
DEMO_SEED = 7

_STEPS = {
    "chunked_payments": "log to bronze",
    "chunking_checks": "checks of chunks and bronze",
    "chunker_watch": "watch over the log",
    "found_patterns": "pattern detection",
    "detection_checks": "checks of detections",
    "medallion": "silver and gold, with their tests",
    "quality_of_silver": "quality of silver",
    "published_marts": "audit and publication",
}

_LABELS = {
    "payments_enriched_silver": "silver",
    "payments_quarantine": "quarantined by silver",
    "payments_duplicates": "duplicates",
}
_APPROVAL_RATE = "SELECT approval_rate FROM gold.v_executive_kpis WHERE period = 'last_30_days' AND currency = 'ALL'"
_TOP_DECLINES = (
    "SELECT decline_reason, declines, decline_share AS share FROM gold.v_top_decline_reasons "
    "WHERE currency = 'ALL' ORDER BY declines DESC, 1 LIMIT 3"
)


@dataclass(frozen=True)
class DemoRun:
    """What the demo did: the Dagster run, its checks, and seconds per stage."""

    run_id: str
    checks_passed: int
    checks_failed: list[str]
    seconds: dict[str, float]


def run_demo(
    log: Location | None,
    lake: Location | None,
    chunk_size: int | None,
    cards: Location | None,
    users: Location | None,
    screen: Console,
) -> None:
    """Runs the demo.

    Args:
        cards, users: what is known of cards and customers apart from the log, where its format has that.
        log: the user's log, taken as complete and worked into a lake of its own; the company's own without it, which
            is made on first use and may go on growing.

    Raises:
        TollgateError: the log cannot be used, or a gate did not pass.
    """
    settings = _settings(log, lake, chunk_size=chunk_size, cards=cards, users=users)
    if settings.token_key is None:
        make_token_key(settings.token_key_file)
    seconds = {} if log else _ensure_log(settings.log, screen)
    open_log(settings.log)
    prepare_dagster_home()
    _announce(f"running the graph on {settings.log}", screen)
    run = _run_graph(settings, is_final=log is not None, screen=screen)
    days = [] if run.checks_failed else _run_finance(settings, run.seconds, screen)
    _show(settings, run, days, seconds | run.seconds, screen)
    _say_what_next(settings, screen)
    if run.checks_failed:
        raise TollgateError(
            f"{len(run.checks_failed)} checks failed: {', '.join(run.checks_failed)}", remedy="see the run in `make ui`"
        )


def _settings(log: Location | None, lake: Location | None, **more: object) -> Settings:
    if log is not None and lake is None:
        if not log.is_file():
            raise SourceError("no such transaction log", where=log, remedy="check the path")
        lake = HOME / "lakes" / source_name(log)
    return load_settings(log=log, lake=lake, **more)


def _ensure_log(log: Path, screen: Console) -> dict[str, float]:
    if log.exists():
        return {}
    from data.simulate import write_log

    started = time.perf_counter()
    _announce(f"simulating a company's {DEMO_ROWS:,} payments", screen)
    with _progress(screen) as progress:
        task = progress.add_task("simulating a company", total=DEMO_ROWS)
        log.parent.mkdir(parents=True, exist_ok=True)
        write_log(log, DEMO_ROWS, DEMO_SEED, on_progress=lambda rows: progress.update(task, completed=rows))
    return {"simulating a company": time.perf_counter() - started}


def _run_graph(settings: Settings, is_final: bool, screen: Console) -> DemoRun:
    """Executes the job in this process; the screen follows the lake, where the truth is."""
    from orchestration.definitions import defs

    logging.getLogger("dagster").setLevel(logging.ERROR)
    outcome: list[dg.ExecuteInProcessResult] = []
    failure: list[BaseException] = []

    def execute() -> None:
        try:
            with dg.DagsterInstance.get() as instance:
                job = defs.resolve_job_def("from_log_to_files")
                outcome.append(
                    job.execute_in_process(
                        run_config=_run_config(settings, is_final=is_final),
                        instance=instance,
                        raise_on_error=False,
                    )
                )
                stats = instance.get_run_step_stats(outcome[0].run_id)
                seconds.update({s.step_key: s.end_time - s.start_time for s in stats if s.end_time and s.start_time})
        except BaseException as error:  # Carried over to the main thread.
            failure.append(error)

    seconds: dict[str, float] = {}
    worker = threading.Thread(target=execute, name="dagster-run", daemon=True)
    with _quiet(screen):
        worker.start()
        _watch(worker, settings, screen)
    if failure:
        raise failure[0]
    return _demo_run(outcome[0], seconds)


def _run_finance(settings: Settings, seconds: dict[str, float], screen: Console) -> list[DemoDay]:
    """The log's last business days, against a bank that keeps the books of them; none where the bank cannot."""
    from orchestration.definitions import defs

    days = demo_days(Lake(settings.lake)) if has_bank(settings) else []
    if not days:
        return []
    _announce(f"reconciling {len(days)} business days with a simulated bank", screen)
    done: list[DemoDay] = []
    with _progress(screen) as progress, _quiet(screen), dg.DagsterInstance.get() as instance:
        task = progress.add_task("a bank keeps its books", total=len(days))
        started = time.perf_counter()
        write_bank(settings, days)
        seconds["simulating a bank"] = time.perf_counter() - started
        for day in run_days(settings, days, instance, _run_config(settings, unsigned_approvals=True), defs):
            done.append(day)
            progress.update(task, completed=len(done), description=f"business day {day.day}")
        seconds["business days reconciled"] = time.perf_counter() - started - seconds["simulating a bank"]
    return done


def _run_config(settings: Settings, **more: object) -> dict:
    platform = {
        "lake_root": str(settings.lake),
        "log": str(settings.log),
        "cards": str(settings.cards or ""),
        "users": str(settings.users or ""),
        "chunk_size": settings.chunk_size,
        **more,
    }
    return {
        "resources": {"platform": {"config": platform}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }


def _demo_run(result: dg.ExecuteInProcessResult, seconds: dict[str, float]) -> DemoRun:
    for event in result.all_events:
        error = event.event_specific_data.error if event.is_step_failure else None
        while error is not None:
            if error.cls_name in {kind.__name__ for kind in TollgateError.__subclasses__()}:
                raise TollgateError(error.message.partition(": ")[2].strip())
            error = error.cause
    evaluations = result.get_asset_check_evaluations()
    failed = [f"{e.asset_key.to_user_string()}.{e.check_name}" for e in evaluations if not e.passed]
    if not result.success and not failed:
        broken = [f"{event.step_key} ({_cause(event)})" for event in result.all_events if event.is_step_failure]
        raise TollgateError(f"the run {result.run_id} failed in {', '.join(broken)}", remedy="see `make ui`")
    named = {label: seconds[step] for step, label in _STEPS.items() if step in seconds}
    return DemoRun(result.run_id, len(evaluations) - len(failed), failed, named)


def _cause(event: dg.DagsterEvent) -> str:
    """The innermost error of a failed step, in one line."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip().splitlines()[0] if error is not None else "no message"


def _watch(worker: threading.Thread, settings: Settings, screen: Console) -> None:
    """Shows how far the lake is, until the run has ended."""
    lake = Lake(settings.lake)
    with _progress(screen) as progress:
        chunking = progress.add_task("log to bronze", total=None)
        detecting = progress.add_task("pattern detection", total=None)
        publishing = progress.add_task("silver and gold", total=None)
        while worker.is_alive():
            _update(progress, (chunking, detecting, publishing), lake, settings)
            worker.join(timeout=0.3)
        _update(progress, (chunking, detecting, publishing), lake, settings)


def _update(progress: Progress, tasks: tuple[TaskID, TaskID, TaskID], lake: Lake, settings: Settings) -> None:
    chunking, detecting, publishing = tasks
    offset = read_offset(lake.offset_file)
    if offset is None:
        return
    packed = settings.log.suffix == ".gz"
    progress.update(
        chunking,
        completed=offset.byte_offset,
        total=None if packed and not offset.is_final else offset.byte_offset if packed else size_bytes(settings.log),
        description=f"log to bronze: {offset.entries:,} entries",
    )
    cells = committed_cells(lake.table("pattern_state"))
    progress.update(
        detecting,
        completed=cells,
        total=max(offset.complete_cells, 1),
        description=f"pattern detection: {cells:,} cells",
    )
    published = published_rows(lake)
    progress.update(
        publishing,
        completed=published,
        total=offset.entries if published else None,
        description=f"silver and gold: {published:,} entries published",
    )


@contextlib.contextmanager
def _quiet(screen: Console) -> Iterator[None]:
    """What dbt prints goes to a log; the screen is ours."""
    logs = HOME / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    screen.file = sys.stdout
    with open(logs / "demo.log", "a") as log, contextlib.redirect_stdout(log):
        yield


def _announce(what: str, screen: Console) -> None:
    """Where no bar can move, as in a log file, a line tells what is going on."""
    if not screen.is_terminal:
        screen.print(f"{what} ...", highlight=False, soft_wrap=True)


def _progress(screen: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", justify="left"),
        BarColumn(),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
    )


def _show(settings: Settings, run: DemoRun, days: list[DemoDay], seconds: dict[str, float], screen: Console) -> None:
    lake = Lake(settings.lake)
    offset = read_offset(lake.offset_file)
    counts = {name: _count(lake, name) for name in ("source_quarantine", "payments_raw_bronze")}
    detections = delta.read_rows(lake.table("detections"), DETECTIONS)
    files = delta.read_rows(lake.table("detection_files"), DETECTION_FILES)
    table = Table(title=f"{settings.log} in {settings.lake}", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(justify="right")
    entries = offset.entries if offset else 0
    table.add_row("rows in", f"{entries:,}")
    table.add_row("chunked", f"{entries - counts['source_quarantine']:,}")
    table.add_row("quarantined", f"{counts['source_quarantine']:,}")
    table.add_row("bronze", f"{counts['payments_raw_bronze']:,}")
    for name in ("UPGRADE", "CHILD", "DEI-NEEDED"):
        table.add_row(f"detections {name}", f"{detections['action_type'].to_pylist().count(name):,}")
    table.add_row("files written", f"{len(files):,}")
    for label, figure in _published(lake):
        table.add_row(label, figure)
    for label, figure in _audited(lake, days):
        table.add_row(label, figure)
    passed = run.checks_passed + sum(day.checks_passed for day in days)
    table.add_row("checks passed", f"{passed:,} of {passed + len(run.checks_failed):,}", end_section=True)
    for label, taken in seconds.items():
        table.add_row(label, f"{taken:.1f} s")
    screen.print(table)


def _published(lake: Lake) -> Iterator[tuple[str, str]]:
    """What the published marts say: rows of silver, the approval rate, the top decline reasons."""
    if not lake.mart.exists():
        yield "published", "nothing"
        return
    for name in ("payments_enriched_silver", "payments_quarantine", "payments_duplicates"):
        (found,) = run_query(lake, f"SELECT count(*) AS rows FROM silver.{name}").to_pylist()
        yield _LABELS[name], f"{found['rows']:,}"
    rates = [row["approval_rate"] for row in run_query(lake, _APPROVAL_RATE).to_pylist()]
    is_known = bool(rates) and rates[0] is not None
    yield "approval rate, last 30 days", f"{rates[0]:.2%}" if is_known else "the source does not say"
    for row in run_query(lake, _TOP_DECLINES).to_pylist():
        yield f"declined: {row['decline_reason']}", f"{row['declines']:,} ({row['share']:.1%})"


def _audited(lake: Lake, days: list[DemoDay]) -> Iterator[tuple[str, str]]:
    """What became of the business days, now or in an earlier demo."""
    if FINANCE not in current_names(lake):
        return
    blocked = sum(bool(day.was_blocked) for day in days)
    approved = f", {blocked} beyond tolerance (approved unsigned: demo)" if blocked else ""
    found = run_query(
        lake,
        "SELECT count(DISTINCT business_date) AS days, count(DISTINCT break_id) AS breaks, "
        "count(*) FILTER (breaks.status = 'open' AND business_date = last) AS still_open "
        "FROM finance.audited_day_status LEFT JOIN finance.audited_daily_breaks AS breaks USING (business_date), "
        "(SELECT max(business_date) AS last FROM finance.audited_day_status)",
    ).to_pylist()[0]
    yield "business days audited", f"{found['days']}{approved}"
    yield "breaks found, still open", f"{found['breaks']:,}, {found['still_open']:,}"


def _count(lake: Lake, name: str) -> int:
    table = delta.open_table(lake.table(name))
    return table.count() if table is not None else 0


def _say_what_next(settings: Settings, screen: Console) -> None:
    """Two commands, of the same width, for this very lake."""
    defaults = Settings.model_fields
    lake = "" if settings.lake == defaults["lake"].default else f" --lake {settings.lake}"
    places = {"TOLLGATE_LAKE": settings.lake, "TOLLGATE_LOG": settings.log} if lake else {}
    live = " ".join([*(f"{name}={value}" for name, value in places.items()), "make ui"])
    found = f".venv/bin/tollgate detections{lake}"
    width = max(len(live), len(found))
    screen.print("Next:")
    for command, purpose in ((found, "what was found"), (live, "the graph, live, at http://127.0.0.1:3000")):
        screen.print(f"  {command:{width}}  {purpose}", highlight=False, soft_wrap=True)

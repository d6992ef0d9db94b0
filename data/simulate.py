"""The transaction log as files: whole at once, or appended as time goes by. What happens in it: `company`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from data.company import Company
from data.events import Events
from data.log_files import append, appending, claimed, replacing, truth_path
from data.log_format import LOG_COLUMNS, TRUTH_COLUMNS, LogFormat, header
from data.rhythm import DAY_MS
from data.text_columns import base36_text

DEFAULT_END = datetime(2026, 11, 1, tzinfo=UTC)
ROWS_PER_BLOCK = 20_000  # about; memory and caches hold one block
BATCH_SECONDS = 0.25
LONGEST_CATCH_UP_MS = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Simulation:
    """A written log: its files, number of rows, first and last event (UTC), and number of rows of fraud."""

    log: Path
    truth: Path
    rows: int
    first_at: datetime
    last_at: datetime
    frauds: int


def noop(rows: int) -> None:
    """Tells nobody."""


def write_log(
    out: Path,
    rows: int,
    seed: int,
    days: int = 35,
    end: datetime | None = None,
    on_progress: Callable[[int], None] = noop,
) -> Simulation:
    """Writes a log of exactly `rows` events in the `days` before `end`, and its truth file, over old ones.

    The truth file, `<stem>.truth.csv`, has one line per line of the log, in its order. Each file appears when
    it is complete, the log last. The bytes depend on `rows`, `seed`, `days` and `end` alone (and on the NumPy
    in use); `end` is `DEFAULT_END` unless given, and the last event comes shortly before it. Memory does not
    grow with `rows`. `on_progress` hears the number of rows so far after each block.
    Raises ValueError for rows or days below 1, a negative seed, or an `end` without a time zone;
    LogInUseError.
    """
    end_ms = _milliseconds(end or DEFAULT_END)
    if rows < 1 or days < 1 or seed < 0:
        raise ValueError(f"rows and days must be at least 1, the seed 0; got {rows=}, {days=}, {seed=}")
    start_ms = end_ms - days * DAY_MS
    company = Company(seed, run=0, drift_from_ms=start_ms)
    log_format = LogFormat(company.population, "T")
    written, frauds, first_ms, last_ms = 0, 0, end_ms, start_ms
    with claimed(out), replacing(out) as log, replacing(truth_path(out)) as truth:
        log.write(header(LOG_COLUMNS))
        truth.write(header(TRUTH_COLUMNS))
        for block in _blocks(company, start_ms, end_ms, rows):
            log.write(log_format.log_lines(block))
            truth.write(log_format.truth_lines(block))
            first_ms, last_ms = min(first_ms, int(block.at_ms[0])), int(block.at_ms[-1])
            frauds += int((block.scenario >= 0).sum())
            written += len(block)
            on_progress(written)
    return Simulation(out, truth_path(out), written, _instant(first_ms), _instant(last_ms), frauds)


def follow_log(
    out: Path,
    rate_per_second: float,
    seed: int,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    stop: Callable[[], bool],
    on_progress: Callable[[int], None] = noop,
) -> int:
    """Appends about `rate_per_second` events a second, dated by `clock`, until `stop()`; gives their number.

    A log of the same seed goes on with the same customers, cards and merchants; what was still to come of its
    payments (captures, refunds) is not continued. Each batch is one write of whole lines, first to the log,
    then to the truth file, so that a killed process leaves at most one torn line and one batch without
    labels. Identifiers contain the size that the log had at the start, so none is used twice. After a stall
    or a jump of the clock only the last `LONGEST_CATCH_UP_MS` are caught up; a clock set back is waited for.
    Raises TornLogError or ForeignLogError, with the remedy, if an existing file cannot be continued;
    LogInUseError; ValueError for a rate that is not positive or a negative seed.
    """
    if not rate_per_second > 0 or seed < 0:
        raise ValueError(f"the rate must be above 0, the seed at least 0; got {rate_per_second=}, {seed=}")
    with (
        claimed(out),
        appending(out, header(LOG_COLUMNS)) as log,
        appending(truth_path(out), header(TRUTH_COLUMNS)) as truth,
    ):
        size = out.stat().st_size
        before_ms = _milliseconds(clock())
        company = Company(seed, run=size, drift_from_ms=before_ms - 35 * DAY_MS)
        log_format = LogFormat(company.population, f"F{base36_text(size)}R")
        written, owed = 0, 0.0
        while not stop():
            sleep(BATCH_SECONDS)
            now_ms = _milliseconds(clock())
            if now_ms <= before_ms:
                continue
            since_ms, before_ms = max(before_ms, now_ms - LONGEST_CATCH_UP_MS), now_ms
            owed += rate_per_second * (now_ms - since_ms) / 1_000
            events = company.advance(since_ms, now_ms, int(owed))
            if len(events):
                append(log, log_format.log_lines(events))
                append(truth, log_format.truth_lines(events))
                owed -= len(events)
                written += len(events)
                on_progress(written)
    return written


def _blocks(company: Company, start_ms: int, end_ms: int, rows: int) -> Iterator[Events]:
    """Slices of the company's time, so paced that exactly `rows` events fill the interval."""
    pace = company.pace(start_ms, end_ms)
    left = rows
    for begin_ms, close_ms in pairwise(_edges(start_ms, end_ms, rows)):
        wanted = left - round(rows * (1 - pace.share_before(close_ms)))
        if close_ms == end_ms:
            wanted += 20 + wanted // 4  # rather too many than too few; the surplus is cut off
        block = company.advance(begin_ms, close_ms, wanted).take(slice(0, left))
        left -= len(block)
        if len(block):
            yield block
    while left:  # the surplus was too small
        block = company.advance(end_ms - 1, end_ms, left + 20).take(slice(0, left))
        left -= len(block)
        yield block


def _edges(start_ms: int, end_ms: int, rows: int) -> list[int]:
    """Bounds of slices of at most a day and about `ROWS_PER_BLOCK`; the last is halved five times."""
    slices = max((end_ms - start_ms) // DAY_MS, -(-rows // ROWS_PER_BLOCK))
    edges = [start_ms + (end_ms - start_ms) * number // slices for number in range(slices + 1)]
    closing = [end_ms - (end_ms - edges[-2]) // 2**halving for halving in range(1, 6)]
    return [*edges[:-1], *closing, end_ms]


def _milliseconds(instant: datetime) -> int:
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone; give it in UTC")
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def _instant(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)

"""Breaks as controllers work on them: the newest day's, with what was done about each."""

from dataclasses import dataclass
from datetime import date, datetime

from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.finance import AUDITED_DAILY_BREAKS
from orchestration.finance.actions import Action, ActionKind, read_actions, record
from orchestration.finance.business_day import read_output, read_staged, read_verdict
from orchestration.finance.chain import current_days, read_chain
from orchestration.finance.days import blocked_days
from orchestration.money import display


class NoSuchBreak(TollgateError):
    """No break has this identity."""


@dataclass(frozen=True)
class BreakList:
    """Breaks as lines of text, under a title."""

    title: str
    rows: tuple[tuple[str, ...], ...]


def list_breaks(lake: Lake, day: date | None, is_open_only: bool, older_than_days: int = -1) -> BreakList:
    """The breaks of a day, oldest first; of the newest day that was published or blocked, if none is given.

    Raises:
        NoSuchBreak: no day was tried yet.
    """
    day, found = _breaks_of(lake, day)
    latest: dict[str, Action] = {}
    assigned: dict[str, str] = {}
    for action in read_actions(lake):
        latest[action.break_id] = action
        if action.kind is ActionKind.ASSIGN:
            assigned[action.break_id] = action.text
    shown = [
        row
        for row in sorted(found, key=lambda row: (-row["age_days"], row["break_id"]))
        if (row["status"] == "open" or not is_open_only) and row["age_days"] > older_than_days
    ]
    return BreakList(
        f"{len(shown):,} breaks at the end of {day}",
        tuple(
            (
                row["break_id"],
                row["break_type"],
                row["status"] if row["status"] == "open" else f"closed: {row['resolution']}",
                row["group_key"],
                row["merchant_id"],
                display({row["currency"]: row["amount_minor"]}),
                display({row["currency"]: row["fee_minor"]}),
                f"{row['age_days']}d",
                assigned.get(row["break_id"], ""),
                _word(latest.get(row["break_id"])),
            )
            for row in shown
        ),
    )


def act(lake: Lake, break_id: str, kind: ActionKind, by: str, text: str, now: datetime) -> Action:
    """Records what somebody does about a break.

    Raises:
        NoSuchBreak: there is no such open break.
    """
    _, found = _breaks_of(lake, None)
    if break_id not in {row["break_id"] for row in found if row["status"] == "open"}:
        raise NoSuchBreak(f"{break_id!r} is no open break", remedy="`tollgate finance breaks --open` lists them")
    return record(lake, break_id, kind, by, text, now)


def _breaks_of(lake: Lake, day: date | None) -> tuple[date, list[dict]]:
    links = read_chain(lake)
    audited = {day: link for day, link in current_days(links).items() if link.manifest.kind == "day"}
    blocked = blocked_days(lake)
    known = sorted({*audited, *blocked})
    day = day or (known[-1] if known else None)
    if day is None or day not in known:
        raise NoSuchBreak("no business day was reconciled yet" if day is None else f"{day} was not reconciled")
    if day in blocked and read_verdict(lake, day) is not None:
        return day, read_staged(lake, day)[AUDITED_DAILY_BREAKS.name].to_pylist()
    return day, read_output(lake, audited[day], AUDITED_DAILY_BREAKS).to_pylist()


def _word(action: Action | None) -> str:
    return f"{action.by}, {action.at:%Y-%m-%d}: {action.text}" if action else ""

"""What controllers do about breaks: assign, comment, resolve. An append-only record; nothing in it is ever changed."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from expectations.catalog import Lake
from expectations.errors import LakeBusy
from expectations.files import create_exclusively

_TRIES = 100


class ActionKind(StrEnum):
    """What is done about a break."""

    ASSIGN = "assign"
    COMMENT = "comment"
    RESOLVE = "resolve"


class Action(BaseModel):
    """One thing that somebody did about a break.

    Attributes:
        sequence: its place in the record, from 1.
        break_id: the break.
        kind: assign it, comment on it, or resolve it: whatever is still open of it is then written off.
        by: who did it.
        at: when, UTC.
        text: to whom it is assigned, the comment, or the reason.
    """

    model_config = ConfigDict(frozen=True)

    sequence: int
    break_id: str
    kind: ActionKind
    by: str
    at: datetime
    text: str


def record(lake: Lake, break_id: str, kind: ActionKind, by: str, text: str, now: datetime) -> Action:
    """Adds an action to the record.

    Raises:
        LakeBusy: others keep taking its place.
    """
    for _ in range(_TRIES):
        action = Action(
            sequence=len(read_actions(lake)) + 1, break_id=break_id, kind=kind, by=by, at=now.astimezone(UTC), text=text
        )
        try:
            create_exclusively(_path(lake, action.sequence), action.model_dump_json().encode() + b"\n")
        except FileExistsError:  # Of two at once, each gets a place of its own.
            continue
        return action
    raise LakeBusy("others write to the record of actions", where=_folder(lake), remedy="try again")


def read_actions(lake: Lake) -> list[Action]:
    """The record, in order."""
    return [Action.model_validate_json(path.read_bytes()) for path in sorted(_folder(lake).glob("[0-9]*.json"))]


def resolutions(actions: Iterable[Action], break_ids: Iterable[str]) -> list[Action]:
    """Of each of these breaks, the action that resolved it first."""
    wanted, found = {*break_ids}, {}
    for action in actions:
        if action.kind is ActionKind.RESOLVE and action.break_id in wanted:
            found.setdefault(action.break_id, action)
    return [found[name] for name in sorted(found)]


def _folder(lake: Lake) -> Path:
    return lake.finance / "actions"


def _path(lake: Lake, sequence: int) -> Path:
    return _folder(lake) / f"{sequence:06d}.json"

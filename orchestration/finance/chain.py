"""The chain of manifests: what was published of which day, from what, under which checks; each names the one before.

A manifest is one file that comes into being whole, or not at all, and never changes. That it comes into being is what
publishes a day. `docs/finance_proof.md` describes the format for those who verify by other means.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, field_serializer

from expectations.card_numbers import fingerprint
from expectations.catalog import Lake
from expectations.errors import LakeBusy, TollgateError
from expectations.files import create_exclusively, replacing

FORMAT = "tollgate-finance/1"
CommitPoint = Callable[[str], None]

_STAGED_LETTERS = 16
_NAME = re.compile(r"(\d{6,})\.json")


class ChainMoved(LakeBusy):
    """Another publication came first."""


class ChainBroken(TollgateError):
    """A manifest is not one, or is not where it belongs."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableHash(_Frozen):
    """A table: how many rows, and the hash of its canonical form."""

    rows: int
    hash: str


class Input(_Frozen):
    """A frozen input: the snapshot's identity, and its tables."""

    snapshot: str
    tables: dict[str, TableHash]


class Output(_Frozen):
    """An output: its rows and the hash of its canonical form; the hash of its rows' digests; the file and its hash."""

    rows: int
    hash: str
    row_digests: str
    file: str
    file_hash: str


class Code(_Frozen):
    """Which code made it: the package's version, and a hash of the sources that decide figures."""

    version: str
    hash: str


class Check(_Frozen):
    """A check's verdict."""

    asset: str
    check: str
    passed: bool
    summary: str


class Draft(_Frozen):
    """A manifest before it has a place in the chain.

    Attributes:
        kind: an opening, or a day.
        business_date: the day; of an opening, the one before the first day.
        version: of that day, from 1.
        published_at: when, UTC.
        published_by: who, or which run.
        reason: why the day was restated, or opened.
        opening: hash of the manifest that it starts from; empty for an opening.
        inputs: per side, what was frozen.
        actions: controllers' resolutions that were applied.
        configuration: the policy, whole.
        code: what made it.
        checks: every verdict of the gate.
        approvals: who signed for a day beyond tolerance.
        totals: per currency, payments and amounts in minor units.
        outputs: what came of it.
    """

    kind: Literal["opening", "day"]
    business_date: date
    version: int
    published_at: datetime
    published_by: str
    reason: str | None
    opening: str
    inputs: dict[str, Input]
    actions: list[dict[str, Any]]
    configuration: dict[str, Any]
    code: Code
    checks: list[Check]
    approvals: list[dict[str, Any]]
    totals: dict[str, dict[str, int]]
    outputs: dict[str, Output]

    @field_serializer("published_at")
    def _instant(self, instant: datetime) -> str:
        return instant.astimezone(UTC).isoformat(timespec="microseconds")

    def staged(self) -> str:
        """Identity of the attempt that was published: what approvals are signed for."""
        return staged_identity(
            self.business_date,
            {side: given.snapshot for side, given in self.inputs.items()},
            self.opening,
            self.actions,
            self.configuration,
            {name: output.hash for name, output in self.outputs.items()},
        )


class Manifest(Draft):
    """A manifest in its place.

    Attributes:
        format: of the manifest.
        sequence: its place, from 1.
        previous: hash of the manifest before; empty for the first.
    """

    format: Literal["tollgate-finance/1"] = FORMAT
    sequence: int
    previous: str


@dataclass(frozen=True)
class Link:
    """A manifest as it stands in the chain: what it says, its hash, and its file."""

    manifest: Manifest
    hash: str
    path: Path


class Head(_Frozen):
    """The last manifest of the chain."""

    sequence: int
    hash: str


def staged_identity(
    business_date: date,
    snapshots: Mapping[str, str],
    opening: str,
    actions: Sequence[Mapping[str, Any]],
    configuration: Mapping[str, Any],
    outputs: Mapping[str, str],
) -> str:
    """Names an attempt at a day by what it was made from and what came of it: hashes, per side and per table."""
    said = {
        "business_date": business_date.isoformat(),
        "inputs": dict(snapshots),
        "opening": opening,
        "actions": list(actions),
        "configuration": dict(configuration),
        "outputs": dict(outputs),
    }
    return fingerprint(canonical_json(said))[:_STAGED_LETTERS]


def canonical_json(content: Mapping[str, Any]) -> bytes:
    """Sorted keys, no spaces, UTF-8, one LF at the end.

    Raises:
        ValueError: something in it is a float, which no two engines write alike.
    """
    _reject_floats(content)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def chain_folder(lake: Lake) -> Path:
    """Where the manifests are."""
    return lake.finance / "chain"


def manifest_path(lake: Lake, sequence: int) -> Path:
    """Where a manifest is."""
    return chain_folder(lake) / f"{sequence:06d}.json"


def manifest_files(lake: Lake) -> list[tuple[int, Path]]:
    """The manifests' files with the places that their names give them, in order, whatever is in them."""
    folder = chain_folder(lake)
    names = [(match, path) for path in folder.glob("*.json") if (match := _NAME.fullmatch(path.name))]
    return sorted((int(match[1]), path) for match, path in names)


def read_chain(lake: Lake) -> list[Link]:
    """Every manifest, in order.

    Raises:
        ChainBroken: one is missing, or is not a manifest. `tollgate finance verify` says more.
    """
    links = []
    for expected, (sequence, path) in enumerate(manifest_files(lake), start=1):
        if sequence != expected:
            raise ChainBroken(f"manifest {expected} is missing", where=path.parent, remedy="restore it from a copy")
        links.append(read_link(path))
    return links


def read_link(path: Path) -> Link:
    """A manifest from its file.

    Raises:
        ChainBroken: it is none.
    """
    content = path.read_bytes()
    try:
        return Link(Manifest.model_validate_json(content), fingerprint(content), path)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise ChainBroken(f"not a manifest: {first}", where=path, remedy="restore it from a copy") from error


def read_head(lake: Lake) -> Head | None:
    """What `head.json` says; None where there is none.

    Raises:
        ChainBroken: it is no head.
    """
    path = chain_folder(lake) / "head.json"
    try:
        return Head.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ChainBroken("not a head", where=path, remedy="restore it from a copy") from error


def append(lake: Lake, draft: Draft, expected_head: str, passed: CommitPoint = lambda point: None) -> Link:
    """Puts a manifest behind the one that its maker saw last: compare and swap.

    Args:
        lake: whose chain.
        draft: the manifest.
        expected_head: hash of the manifest that it follows; empty for the first.
        passed: told each commit point.

    Raises:
        ChainMoved: the chain has another head meanwhile.
        ChainBroken: `head.json` names a manifest that is not there: the end of the chain was cut off or changed.
    """
    # Read before the manifests: one that is published in between must not look like one that is lost.
    head = read_head(lake)
    links = read_chain(lake)
    _check_holds(lake, head, links)
    found = links[-1].hash if links else ""
    if found != expected_head:
        raise _moved(lake)
    # Before another manifest comes, so that the head is never more than one behind.
    mend_head(lake, links)
    manifest = Manifest(sequence=len(links) + 1, previous=found, **draft.model_dump())
    content = canonical_json(manifest.model_dump(mode="json"))
    path = manifest_path(lake, manifest.sequence)
    _create(path, content, lake)
    passed("manifest")
    link = Link(manifest, fingerprint(content), path)
    _write_head(lake, link)
    passed("head")
    return link


def mend_head(lake: Lake, links: Sequence[Link]) -> None:
    """Brings `head.json` to the last manifest, where a publisher was killed between the two."""
    head = read_head(lake)
    if links and (head is None or (head.sequence < len(links) and _is_in(head, links))):
        _write_head(lake, links[-1])


def current_days(links: Iterable[Link]) -> dict[date, Link]:
    """Of each business day, the manifest that was published last."""
    return {link.manifest.business_date: link for link in links}


def stale_days(links: Iterable[Link]) -> set[date]:
    """Days that start from what is not current any more, or from a day that is stale."""
    current, stale = current_days(links), set()
    for day, link in sorted(current.items()):
        if link.manifest.kind == "opening":
            continue
        yesterday = day - timedelta(days=1)
        before = current.get(yesterday)
        if before is None or before.hash != link.manifest.opening or yesterday in stale:
            stale.add(day)
    return stale


def _create(path: Path, content: bytes, lake: Lake) -> None:
    try:
        create_exclusively(path, content)
    except FileExistsError as error:
        raise _moved(lake) from error


def _write_head(lake: Lake, link: Link) -> None:
    """Names the last manifest, unless whoever published after it was quicker."""
    lake.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(lake.locks / "finance_head.lock"):
        head = read_head(lake)
        if head is None or head.sequence < link.manifest.sequence:
            with replacing(chain_folder(lake) / "head.json") as file:
                file.write(canonical_json({"sequence": link.manifest.sequence, "hash": link.hash}))


def _check_holds(lake: Lake, head: Head | None, links: Sequence[Link]) -> None:
    """Nothing is put behind a chain whose end is gone: the next head would hide that it is."""
    if head is not None and not _is_in(head, links):
        raise ChainBroken(
            f"head.json names a manifest {head.sequence} that is not there",
            where=chain_folder(lake),
            remedy="`tollgate finance verify` says what was changed; restore it from a copy",
        )


def _is_in(head: Head, links: Sequence[Link]) -> bool:
    return 1 <= head.sequence <= len(links) and links[head.sequence - 1].hash == head.hash


def _moved(lake: Lake) -> ChainMoved:
    return ChainMoved("another publication came first", where=chain_folder(lake), remedy="run the day again")


def _reject_floats(content: Any) -> None:
    if isinstance(content, float):
        raise ValueError(f"{content!r} is a float")
    parts = content.values() if isinstance(content, Mapping) else content if isinstance(content, list | tuple) else ()
    for part in parts:
        _reject_floats(part)

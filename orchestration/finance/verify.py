"""Verification: whether everything that was published is still what was published, from the files alone."""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.card_numbers import fingerprint
from expectations.catalog import Lake
from expectations.finance import (
    AUDITED_DAILY_BREAKS,
    AUDITED_DAILY_SETTLEMENT,
    BANK_TABLES,
    DAY_TABLES,
    OPEN_ITEMS,
    PLATFORM_PAYMENTS,
    RECONCILED_ROWS,
)
from expectations.schema import TableSchema
from orchestration.finance.audited_tables import totals
from orchestration.finance.canonical import (
    DIGEST_BYTES,
    NotCanonical,
    content_hash,
    in_canonical_order,
    row_digests,
)
from orchestration.finance.chain import (
    ChainBroken,
    Head,
    Link,
    Output,
    TableHash,
    canonical_json,
    manifest_files,
    manifest_path,
    read_head,
    read_link,
)
from orchestration.finance.files import digests_path, output_path
from orchestration.finance.signatures import (
    Approval,
    RegisteredKey,
    approvals_fault,
    is_signed_by,
    read_signature,
    registered,
)

_SCHEMAS = {
    schema.name: schema for schema in (*DAY_TABLES, OPEN_ITEMS, RECONCILED_ROWS, PLATFORM_PAYMENTS, *BANK_TABLES)
}
_ARROW = {name: schema.arrow() for name, schema in _SCHEMAS.items()}
_THREADS = 4
_MISSING = re.compile(r"manifest (\d+)")


@dataclass(frozen=True)
class Finding:
    """Something that is not what was published: where, and what is wrong."""

    place: str
    fault: str

    def __str__(self) -> str:
        return f"{self.place}: {self.fault}"


@dataclass(frozen=True)
class Verification:
    """What verifying came to.

    Attributes:
        links, tables, rows: how much was verified.
        findings: what was tampered with, in the order of the chain.
        is_authenticated: every manifest bears the signature of a registered key.
        head: hash of the last manifest: whoever keeps it elsewhere will notice if the whole chain is replaced.
        notes: what is not wrong, but should be known.
    """

    links: int
    tables: int
    rows: int
    findings: tuple[Finding, ...]
    is_authenticated: bool
    head: str
    notes: tuple[str, ...]


def verify(
    lake: Lake,
    days: Collection[date] | None = None,
    expected_head: str | None = None,
    registry: Path | None = None,
    inputs: bool = True,
) -> Verification:
    """Recomputes every hash of the chain, and of the files of these days.

    Args:
        lake: whose chain.
        days: business days whose files are looked at; all without. The chain is always looked at whole.
        expected_head: the head's hash as somebody outside has kept it; finding another one is a finding, unless the
            expected one is a manifest of the chain, which has merely grown since.
        registry: of public keys; without it, signatures are checked, but nobody knows whose they are.
        inputs: whether frozen inputs are looked at.
    """
    findings: list[Finding] = []
    notes: list[str] = []
    links = _read_links(lake, findings)
    findings += _order_faults(lake, links, notes)
    if expected_head and expected_head not in {link.hash for link in links}:
        findings.append(Finding("head", "is not in the chain: the chain was replaced or cut"))
    known = registered(registry) if registry else None
    signed = [_signature_faults(lake, link, known, findings) for link in links]
    looked_at = [link for link in links if days is None or link.manifest.business_date in days]
    for link in looked_at:
        findings += _approval_faults(link, known, notes)
    tasks = [task for link in looked_at for task in _tasks(lake, link, inputs)]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = [*pool.map(lambda task: task(), tasks)]
    findings += [finding for table_findings, _ in found for finding in table_findings]
    places = {_place(link): int(link.path.stem) for link in links}
    return Verification(
        links=len(links),
        tables=len(tasks),
        rows=sum(rows for _, rows in found),
        findings=tuple(sorted(findings, key=lambda finding: _position(finding, places))),
        is_authenticated=bool(links) and all(signed),
        head=links[-1].hash if links else "",
        notes=tuple(notes),
    )


def _place(link: Link) -> str:
    manifest = link.manifest
    name = f"opening of {manifest.business_date}" if manifest.kind == "opening" else f"{manifest.business_date}"
    return f"{name} v{manifest.version} (manifest {manifest.sequence})"


def _position(finding: Finding, places: Mapping[str, int]) -> float:
    """Where in the chain a finding belongs. What is about its head comes after all."""
    missing = _MISSING.fullmatch(finding.place)
    return int(missing[1]) if missing else places.get(finding.place, math.inf)


def _read_links(lake: Lake, findings: list[Finding]) -> list[Link]:
    links = []
    for sequence, path in manifest_files(lake):
        try:
            link = read_link(path)
        except ChainBroken as error:
            findings.append(Finding(f"manifest {sequence}", error.what))
            continue
        if not _is_canonical(link):
            findings.append(Finding(_place(link), "the manifest is not in its canonical form"))
        links.append(link)
    return links


def _is_canonical(link: Link) -> bool:
    try:
        return canonical_json(link.manifest.model_dump(mode="json")) == link.path.read_bytes()
    except ValueError:
        # A float, or half a surrogate pair: no canonical form has it.
        return False


def _order_faults(lake: Lake, links: Sequence[Link], notes: list[str]) -> Iterator[Finding]:
    """Each manifest is in its place and names the one before; the head names the last."""
    before, expected = "", 1
    versions: dict[date, int] = {}
    hashes = {link.hash: link.manifest for link in links}
    for link in links:
        manifest = link.manifest
        named = int(link.path.stem)
        if named != expected:
            # One that is there, and is no manifest, is a finding already.
            if not manifest_path(lake, expected).exists():
                yield Finding(f"manifest {expected}", "is missing")
            expected = named
        if manifest.sequence != named:
            yield Finding(_place(link), f"stands in the place of manifest {named}")
        elif manifest.previous != before:
            yield Finding(_place(link), "does not name the manifest before it: that one, or this, was changed")
        if manifest.version != versions.get(manifest.business_date, 0) + 1:
            yield Finding(_place(link), f"follows version {versions.get(manifest.business_date, 0)} of its day")
        opening = hashes.get(manifest.opening)
        if manifest.kind == "day" and (opening is None or (manifest.business_date - opening.business_date).days != 1):
            yield Finding(_place(link), "does not start from the day before it")
        versions[manifest.business_date] = manifest.version
        before, expected = link.hash, expected + 1
    yield from _head_faults(lake, links, notes)


def _head_faults(lake: Lake, links: Sequence[Link], notes: list[str]) -> Iterator[Finding]:
    """The head names the last manifest, or, where a publisher was killed before it wrote it, the one before."""
    try:
        # Before the first publication wrote one, none is like one that names nothing.
        head = read_head(lake) or Head(sequence=0, hash="")
    except ChainBroken as error:
        yield Finding("head.json", error.what)
        return
    if head.sequence == 0 and len(links) != 1:
        if links:
            yield Finding("head.json", "is missing")
    elif head.sequence == len(links) - 1 and links and links[-1].manifest.previous == head.hash:
        notes.append("head.json is one manifest behind: a publisher was killed, and the next publication mends it")
    elif head.sequence > (int(links[-1].path.stem) if links else 0):
        yield Finding(f"manifest {head.sequence}", "is missing: head.json names it")
    elif not links or head.hash != links[-1].hash:
        yield Finding("head.json", "does not name the last manifest: that one, or this, was changed")


_Known = Mapping[str, RegisteredKey] | None


def _signature_faults(lake: Lake, link: Link, known: _Known, findings: list[Finding]) -> bool:
    """Whether a registered key has signed the manifest."""
    try:
        signature = read_signature(lake, link)
    except ChainBroken as error:
        findings.append(Finding(_place(link), f"the manifest's signature is {error.what}"))
        return False
    if signature is None:
        return False
    if not is_signed_by(signature.public_key, link.hash.encode(), signature.signature):
        findings.append(Finding(_place(link), "the manifest's signature is not valid"))
        return False
    return bool(known) and signature.by in known and known[signature.by].key == signature.public_key


def _approval_faults(link: Link, known: _Known, notes: list[str]) -> Iterator[Finding]:
    if not link.manifest.approvals:
        return
    try:
        approvals = [Approval.model_validate(approval) for approval in link.manifest.approvals]
        staged = link.manifest.staged()
    except ValueError:
        yield Finding(_place(link), "approvals: not what a maker and a checker sign")
        return
    if any(approval.signature is None for approval in approvals):
        notes.append(f"{_place(link)}: approved without signatures, as only a demo does")
    if [approval.role for approval in approvals] != ["maker", "checker"]:
        yield Finding(_place(link), "has not the approvals of a maker and of a checker")
    elif fault := approvals_fault(approvals, staged, known, unsigned_allowed=True):
        yield Finding(_place(link), f"approvals: {fault}")


_Task = Callable[[], tuple[list[Finding], int]]


def _tasks(lake: Lake, link: Link, inputs: bool) -> Iterator[_Task]:
    """One for each file that the manifest names."""
    for name, output in link.manifest.outputs.items():
        yield lambda name=name, output=output: _output_findings(lake, link, name, output)
    for side, given in link.manifest.inputs.items() if inputs else ():
        folder = lake.finance / "inputs" / side / link.manifest.business_date.isoformat() / given.snapshot
        for name, table in given.tables.items():
            path = folder / f"{name}.parquet"
            yield lambda path=path, name=name, table=table, side=side: _input_findings(link, side, path, name, table)


def _input_findings(link: Link, side: str, path: Path, name: str, said: TableHash) -> tuple[list[Finding], int]:
    if name not in _SCHEMAS:
        return [Finding(_place(link), f"frozen input {side}/{name} is no table of finance")], 0
    file = _read(path, _SCHEMAS[name])
    table = file.table
    if table is None:
        return [Finding(_place(link), f"frozen input {side}/{name} {file.fault}")], 0
    if _hash(table, _SCHEMAS[name]) != said.hash or table.num_rows != said.rows:
        return [Finding(_place(link), f"frozen input {side}/{name} is not what was frozen")], table.num_rows
    return [], table.num_rows


def _output_findings(lake: Lake, link: Link, name: str, output: Output) -> tuple[list[Finding], int]:
    place = _place(link)
    if name not in _SCHEMAS:
        return [Finding(place, f"{name} is no table of finance")], 0
    schema = _SCHEMAS[name]
    file = _read(output_path(lake, output), schema)
    table = file.table
    if table is None:
        return [Finding(place, f"{name} {file.fault}")], 0
    if _hash(table, schema) != output.hash:
        return [Finding(place, f"{name} {_first_changed_row(lake, output, table, schema)}")], table.num_rows
    findings = []
    if fingerprint(file.content) != output.file_hash:
        findings.append(Finding(place, f"{name}: the file was written anew, with the same content"))
    if _digests(lake, output) is None:
        findings.append(Finding(place, f"{name}: the digests of its rows are missing or changed"))
    if table.num_rows != output.rows:
        findings.append(Finding(place, f"{name} has {table.num_rows:,} rows, the manifest says {output.rows:,}"))
    if schema is AUDITED_DAILY_SETTLEMENT and not _totals_agree(lake, link, table):
        findings.append(Finding(place, "the manifest's totals are not those of its tables"))
    return findings, table.num_rows


def _totals_agree(lake: Lake, link: Link, settlement: pa.Table) -> bool:
    breaks = link.manifest.outputs.get(AUDITED_DAILY_BREAKS.name)
    if breaks is None:
        return True
    found = _read(output_path(lake, breaks), AUDITED_DAILY_BREAKS).table
    # What is wrong with the breaks is a finding of its own.
    return found is None or totals(settlement, found) == link.manifest.totals


@dataclass(frozen=True)
class _File:
    """What a file holds: its bytes, and the table that they are; without one, what is wrong."""

    content: bytes
    table: pa.Table | None
    fault: str = ""


def _read(path: Path, schema: TableSchema) -> _File:
    """Reads a file once, so that the bytes which are hashed are those which were parsed."""
    content = b""
    try:
        content = path.read_bytes()
        # Not in its threads: the tasks are spread over threads already.
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False).select(schema.columns)
        expected = _ARROW[schema.name]
        return _File(content, table if table.schema.equals(expected) else table.cast(expected))
    except FileNotFoundError:
        return _File(content, None, f"is missing ({path.name})")
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return _File(content, None, f"cannot be read ({path.name})")


def _hash(table: pa.Table, schema: TableSchema) -> str:
    try:
        return content_hash(table, schema)
    except NotCanonical:
        return ""


def _digests(lake: Lake, output: Output) -> bytes | None:
    path = digests_path(lake, output)
    content = path.read_bytes() if path.exists() else b""
    return content if fingerprint(content) == output.row_digests else None


def _first_changed_row(lake: Lake, output: Output, table: pa.Table, schema: TableSchema) -> str:
    """Names the first row that is not what was published, by the digests that were kept of each."""
    kept = _digests(lake, output)
    if kept is None:
        return "is not what was published; the digests of its rows are missing or changed too"
    try:
        found, ordered = row_digests(table, schema), in_canonical_order(table, schema)
    except NotCanonical as error:
        return f"is not what was published: {error.what}"
    except UnicodeDecodeError:
        return "is not what was published: it holds text that is not UTF-8"
    count = max(len(kept), len(found)) // DIGEST_BYTES
    differs = (at for at in range(count) if _digest(kept, at) != _digest(found, at))
    at = next(differs, None)
    if at is None:
        return "is not what was published"
    if at >= table.num_rows:
        return f"lacks its last {(len(kept) - len(found)) // DIGEST_BYTES:,} rows, from row {at + 1:,}"
    named = ", ".join(f"{name} {ordered.column(name)[at]}" for name in schema.key if name != "business_date")
    change = {-1: "row missing before it", 0: "changed", 1: "added"}[
        (table.num_rows > output.rows) - (table.num_rows < output.rows)
    ]
    return f"is not what was published, first in row {at + 1:,} ({named}): {change}"


def _digest(digests: bytes, at: int) -> bytes:
    return digests[at * DIGEST_BYTES : (at + 1) * DIGEST_BYTES]

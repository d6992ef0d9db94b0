"""Replaying a business day: the same inputs and configuration must give the same output, to the last byte."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.schema import TableSchema
from orchestration.finance.actions import Action
from orchestration.finance.business_day import (
    OUTPUTS,
    StagedInputs,
    compute,
    read_inputs,
    read_opening_of,
    read_output,
)
from orchestration.finance.canonical import canonical_lines, content_hash
from orchestration.finance.chain import Link, read_chain
from orchestration.finance.code_version import code_hash
from orchestration.finance.snapshots import read_snapshot

_NAMED = 3


class NoSuchVersion(TollgateError):
    """A day was never published so."""


@dataclass(frozen=True)
class ReplayedTable:
    """One output: its hash as it was published, and as it came out again."""

    table: str
    rows: int
    published: str
    replayed: str

    @property
    def is_same(self) -> bool:
        return self.published == self.replayed


@dataclass(frozen=True)
class Replay:
    """What replaying came to.

    Attributes:
        version: of the day.
        tables: every output.
        differences: what differs, a line each; nothing if all came out the same.
        code_then, code_now: hashes of the deciding code.
    """

    version: int
    tables: tuple[ReplayedTable, ...]
    differences: tuple[str, ...]
    code_then: str
    code_now: str

    @property
    def is_same_code(self) -> bool:
        return self.code_then == self.code_now


def find_version(lake: Lake, day: date, version: int | None) -> Link:
    """A day's manifest, of the current version if none is given.

    Raises:
        NoSuchVersion: there is none.
    """
    links = [link for link in read_chain(lake) if link.manifest.business_date == day and link.manifest.kind == "day"]
    found = [link for link in links if link.manifest.version == version] if version else links[-1:]
    if not found:
        there = ", ".join(str(link.manifest.version) for link in links) or "none"
        raise NoSuchVersion(f"{day} has no version {version or ''}", remedy=f"versions: {there}")
    return found[0]


def replay(lake: Lake, day: date, version: int | None = None) -> Replay:
    """Computes a published day again, from its frozen inputs with the recorded configuration.

    Raises:
        NoSuchVersion: it was never published.
    """
    link = find_version(lake, day, version)
    inputs = staged_inputs(lake, link)
    opening = next(other for other in read_chain(lake) if other.hash == link.manifest.opening)
    outputs = compute(inputs, read_inputs(lake, inputs), read_opening_of(lake, opening))
    tables = tuple(_compared(schema, outputs, link) for schema in OUTPUTS)
    different = {row.table for row in tables if not row.is_same}
    differences = [
        line for schema in OUTPUTS if schema.name in different for line in _differences(lake, link, schema, outputs)
    ]
    return Replay(link.manifest.version, tables, tuple(differences), link.manifest.code.hash, code_hash())


def staged_inputs(lake: Lake, link: Link) -> StagedInputs:
    """From what the day of a manifest was reconciled."""
    manifest = link.manifest
    return StagedInputs(
        business_date=manifest.business_date,
        snapshots={
            side: read_snapshot(lake, side, manifest.business_date, given.snapshot)
            for side, given in manifest.inputs.items()
        },
        opening=manifest.opening,
        actions=tuple(Action.model_validate(action) for action in manifest.actions),
        configuration=dict(manifest.configuration),
    )


def _compared(schema: TableSchema, outputs: Mapping[str, pa.Table], link: Link) -> ReplayedTable:
    made = outputs[schema.name]
    return ReplayedTable(
        schema.name, made.num_rows, link.manifest.outputs[schema.name].hash, content_hash(made, schema)
    )


def _differences(lake: Lake, link: Link, schema: TableSchema, outputs: Mapping[str, pa.Table]) -> list[str]:
    published = set(canonical_lines(read_output(lake, link, schema), schema).to_pylist())
    replayed = set(canonical_lines(outputs[schema.name], schema).to_pylist())
    sides = (("only published", sorted(published - replayed)), ("only replayed", sorted(replayed - published)))
    lines = [
        f"{schema.name}, {what}: {' | '.join(line.strip().split(chr(9)))}"
        for what, found in sides
        for line in found[:_NAMED]
    ]
    return lines or [f"{schema.name}: the file holds what comes out again, and not what its manifest says"]

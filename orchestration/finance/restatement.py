"""What a restatement changed, rows and money, by cause: which input is another one than before."""

import contextlib
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa

from expectations.catalog import Lake
from expectations.finance import DAY_TABLES, LEDGER_ENTRIES, OPEN_ITEMS, PLATFORM_PAYMENTS
from expectations.schema import TableSchema
from orchestration.finance.business_day import read_inputs, read_opening_of, read_output
from orchestration.finance.canonical import canonical_lines
from orchestration.finance.chain import Link, read_chain
from orchestration.finance.replay import find_version, staged_inputs
from orchestration.money import display


@dataclass(frozen=True)
class Cause:
    """One kind of difference between two versions' inputs, in one currency."""

    cause: str
    rows: int
    currency: str
    net: str


@dataclass(frozen=True)
class TableChange:
    """How the rows of a published table differ."""

    table: str
    added: int
    removed: int
    changed: int


@dataclass(frozen=True)
class Restatement:
    """Causes, and what they did to the published tables."""

    causes: tuple[Cause, ...]
    tables: tuple[TableChange, ...]


def compare(lake: Lake, day: date, from_version: int, to_version: int) -> Restatement:
    """What is different between two versions of a day.

    Raises:
        NoSuchVersion: one of them was never published.
    """
    before, after = find_version(lake, day, from_version), find_version(lake, day, to_version)
    return Restatement(
        tuple(_causes(lake, before, after)), tuple(_table_change(lake, before, after, schema) for schema in DAY_TABLES)
    )


def _causes(lake: Lake, before: Link, after: Link) -> list[Cause]:
    inputs = [read_inputs(lake, staged_inputs(lake, link)) for link in (before, after)]
    by_hash = {link.hash: link for link in read_chain(lake)}
    carried = [read_opening_of(lake, by_hash[link.manifest.opening]).open_items for link in (before, after)]
    causes = [
        *_side_causes("payment", *(tables[PLATFORM_PAYMENTS.name] for tables in inputs), PLATFORM_PAYMENTS),
        *_side_causes("journal entry", *(tables[LEDGER_ENTRIES.name] for tables in inputs), LEDGER_ENTRIES),
        *_side_causes("carried-over row", *carried, OPEN_ITEMS),
    ]
    resolved = len({*_sequences(after)} ^ {*_sequences(before)})
    if resolved:
        causes.append(Cause("controllers' resolutions", resolved, "", ""))
    if before.manifest.configuration != after.manifest.configuration:
        causes.append(Cause("configuration", 1, "", ""))
    if before.manifest.code.hash != after.manifest.code.hash:
        causes.append(Cause("code", 1, "", ""))
    return causes


def _side_causes(what: str, before: pa.Table, after: pa.Table, schema: TableSchema) -> list[Cause]:
    """Rows added, removed and changed, by key and currency; the net is what they add to that side."""
    key = ", ".join(name for name in schema.key if name != "currency")
    value = "amount_minor - fee_minor"
    query = f"""
        SELECT change, currency, count(*), sum(net)::BIGINT FROM (
          SELECT CASE WHEN b.currency IS NULL THEN 'added' WHEN a.currency IS NULL THEN 'removed' ELSE 'changed' END
                   AS change, coalesce(a.net, 0) - coalesce(b.net, 0) AS net, a.line AS line_a, b.line AS line_b,
                 currency
          FROM (SELECT {key}, currency, {value} AS net, md5(before::VARCHAR) AS line FROM before) AS b
          FULL JOIN (SELECT {key}, currency, {value} AS net, md5(after::VARCHAR) AS line FROM after) AS a
            USING ({key}, currency)
        ) WHERE line_a IS DISTINCT FROM line_b GROUP BY ALL ORDER BY ALL
    """
    with contextlib.closing(duckdb.connect()) as connection:
        connection.register("before", before)
        connection.register("after", after)
        found = connection.execute(query).fetchall()
    return [
        Cause(f"{what} {change}", count, currency, display({currency: net})) for change, currency, count, net in found
    ]


def _sequences(link: Link) -> list[int]:
    return [action["sequence"] for action in link.manifest.actions]


def _table_change(lake: Lake, before: Link, after: Link, schema: TableSchema) -> TableChange:
    lines = [
        {
            tuple(row[name] for name in schema.key): line
            for row, line in zip(
                table.sort_by([(name, "ascending") for name in schema.key]).to_pylist(),
                canonical_lines(table, schema).to_pylist(),
                strict=True,
            )
        }
        for table in (read_output(lake, link, schema) for link in (before, after))
    ]
    old, new = lines
    return TableChange(
        schema.name,
        added=len(new.keys() - old.keys()),
        removed=len(old.keys() - new.keys()),
        changed=sum(old[key] != new[key] for key in old.keys() & new.keys()),
    )

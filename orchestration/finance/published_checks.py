"""The checks of what is published: each table is what its manifest says, and the chain is unbroken."""

from datetime import date
from pathlib import Path

from expectations.catalog import Lake
from expectations.finance import AUDITED_DAY_STATUS, DAY_TABLES
from orchestration.finance.business_day import read_output
from orchestration.finance.canonical import content_hash
from orchestration.finance.chain import Link
from orchestration.finance.verify import verify
from orchestration.outcomes import CheckDeclaration, Outcome

_IS_IN_MANIFEST = {
    schema.name: CheckDeclaration(
        schema.name,
        f"{schema.name}_is_what_its_manifest_says",
        "The published file has the hash that its manifest has.",
    )
    for schema in DAY_TABLES
}
DAY_VERIFIES = CheckDeclaration(
    AUDITED_DAY_STATUS.name, "day_verifies", "The day's manifest, its place in the chain and all its files verify."
)
CHAIN_VERIFIES = CheckDeclaration(
    AUDITED_DAY_STATUS.name,
    "chain_verifies",
    "Every manifest, table and frozen input of every day verifies, from the files alone.",
)
PUBLISHED_CHECKS = (*_IS_IN_MANIFEST.values(), DAY_VERIFIES)


def judge_published(lake: Lake, link: Link, registry: Path) -> list[Outcome]:
    """The verdicts on a day that was just published."""
    outcomes = []
    for schema in DAY_TABLES:
        said, found = link.manifest.outputs[schema.name], read_output(lake, link, schema)
        is_same = content_hash(found, schema) == said.hash
        outcomes.append(
            _IS_IN_MANIFEST[schema.name].outcome(
                is_same,
                f"{found.num_rows:,} rows, {'as' if is_same else 'not as'} manifest {link.manifest.sequence} says",
            )
        )
    return [*outcomes, _verified(DAY_VERIFIES, lake, registry, {link.manifest.business_date})]


def judge_chain(lake: Lake, registry: Path) -> Outcome:
    """The verdict on everything that was ever published."""
    return _verified(CHAIN_VERIFIES, lake, registry, None)


def _verified(check: CheckDeclaration, lake: Lake, registry: Path, days: set[date] | None) -> Outcome:
    found = verify(lake, days=days, registry=registry)
    if found.findings:
        return check.outcome(False, f"tampered: {found.findings[0]}", findings=len(found.findings))
    return check.outcome(
        True,
        f"{found.links:,} manifests, {found.tables:,} tables: "
        + ("authenticated" if found.is_authenticated else "consistent, not authenticated"),
        manifests=found.links,
        tables=found.tables,
        rows=found.rows,
        head=found.head,
    )

"""Daily finance: a business day from both sides' frozen inputs through the gate to the audited tables."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from expectations.finance import AUDITED_DAY_STATUS, BANK_TABLES, DAY_TABLES, PLATFORM_PAYMENTS
from expectations.thresholds import FINANCE
from orchestration.finance import gate
from orchestration.finance.business_day import Judgement, reconcile_staged, stage
from orchestration.finance.days import NO_LATE_ROWS, late_rows_outcome
from orchestration.finance.extraction import connect
from orchestration.finance.nightly import tell_if_blocked
from orchestration.finance.partitions import BUSINESS_DAYS, DAYS_IN_ORDER
from orchestration.finance.platform_payments import read_platform_day
from orchestration.finance.published_checks import PUBLISHED_CHECKS, judge_published
from orchestration.finance.publishing import make_publisher
from orchestration.finance.snapshots import BANK, FROZEN, PLATFORM, Freezing, freeze, frozen_outcome
from orchestration.house_rules import FINANCE_TEAM, NIGHTLY, RETRIES
from orchestration.money import display
from orchestration.outcomes import CheckDeclaration
from orchestration.reporting import check_result, check_spec, described
from orchestration.resources import Platform

GROUP = "finance"

core_banking = dg.AssetSpec(
    "core_banking",
    group_name="sources",
    description="The bank's database: accounts, double-entry journal, settlement batches. Read, never written to.",
    kinds={"sqlalchemy"},
    owners=FINANCE_TEAM,
)


def _of_each_day(check: CheckDeclaration) -> dg.AssetCheckSpec:
    return check_spec(check, BUSINESS_DAYS)


_COMMON = {
    "partitions_def": BUSINESS_DAYS,
    "group_name": GROUP,
    "owners": FINANCE_TEAM,
    "retry_policy": RETRIES,
    "pool": DAYS_IN_ORDER,
}


@dg.asset(
    deps=["core_banking"],
    kinds={"python", "sqlalchemy", "parquet"},
    freshness_policy=NIGHTLY,
    metadata={"tables": ", ".join(schema.name for schema in BANK_TABLES)},
    check_specs=[_of_each_day(FROZEN[BANK])],
    **_COMMON,
)
def core_banking_snapshot(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[object]:
    """The bank's day, frozen: extracted page by page, named by its content, never changed."""
    settings, day = platform.settings(), _day(context)
    bank = connect(settings.core_banking, FINANCE.bank_date_basis)
    frozen = freeze(platform.lake(), BANK, day, bank.read_day(day), bank.place, settings.clock())
    yield dg.MaterializeResult(metadata=_frozen(frozen))
    yield check_result(frozen_outcome(platform.lake(), frozen.snapshot))


@dg.asset(
    deps=["published_silver", "published_gold"],
    kinds={"python", "duckdb", "parquet"},
    freshness_policy=NIGHTLY,
    metadata=described(PLATFORM_PAYMENTS),
    check_specs=[_of_each_day(FROZEN[PLATFORM]), _of_each_day(NO_LATE_ROWS)],
    **_COMMON,
)
def platform_snapshot(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[object]:
    """The platform's payments of the business day, frozen at one publication of silver."""
    settings, day, lake = platform.settings(), _day(context), platform.lake()
    found = read_platform_day(lake, day)
    tables = {PLATFORM_PAYMENTS.name: found.payments}
    frozen = freeze(lake, PLATFORM, day, tables, str(lake.marts), settings.clock(), found.silver_version)
    yield dg.MaterializeResult(metadata=_frozen(frozen))
    yield check_result(frozen_outcome(lake, frozen.snapshot))
    yield check_result(late_rows_outcome(lake))


@dg.asset(
    deps=["core_banking_snapshot", "platform_snapshot"],
    kinds={"python", "great_expectations"},
    check_specs=[_of_each_day(check) for check in gate.STAGING_CHECKS],
    **_COMMON,
)
def settlement_staging(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[object]:
    """Which frozen inputs, opening and resolutions the day is reconciled from: apart from all that readers see."""
    settings, day = platform.settings(), _day(context)
    staged = stage(platform.lake(), day, FINANCE)
    snapshots = {f"{side} snapshot": taken.snapshot for side, taken in staged.inputs.snapshots.items()}
    yield dg.MaterializeResult(metadata={**staged.rows, **snapshots, "resolutions": len(staged.inputs.actions)})
    yield from map(check_result, staged.outcomes)
    tell_if_blocked(settings, day)


@dg.asset(
    # It also starts from what the day before left open. Dagster would have that as a dependency on itself, but then a
    # backfill runs it apart from what is around it; so days take turns, and one whose day before is missing says so.
    deps=["settlement_staging"],
    kinds={"python", "duckdb"},
    check_specs=[_of_each_day(check) for check in gate.RECONCILIATION_CHECKS],
    **_COMMON,
)
def reconciliation(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[object]:
    """Every payment and journal entry of the day, matched or in a typed break; and the gate's verdict on the day."""
    settings, lake, day = platform.settings(), platform.lake(), _day(context)
    judged = reconcile_staged(lake, day, settings.finance_keys, settings.finance_unsigned_approvals)
    figures = _figures(judged)
    yield dg.MaterializeResult(metadata=figures)
    for outcome in judged.outcomes:
        result = check_result(outcome)
        if not outcome.passed:
            result = result._replace(metadata={**result.metadata, "breaks": figures["breaks"]})
        yield result
    tell_if_blocked(settings, day)


class Publication(dg.Config):
    """How a day is published.

    Attributes:
        reason: why an audited day is restated; without one, it is not.
    """

    reason: str = ""


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            schema.name,
            deps=["settlement_staging", "reconciliation"],
            group_name=GROUP,
            owners=FINANCE_TEAM,
            description=schema.description,
            kinds={"python", "parquet"},
            metadata=described(schema),
            partitions_def=BUSINESS_DAYS,
            freshness_policy=NIGHTLY,
            skippable=True,
        )
        for schema in (*DAY_TABLES, AUDITED_DAY_STATUS)
    ],
    check_specs=[_of_each_day(check) for check in PUBLISHED_CHECKS],
    pool=DAYS_IN_ORDER,
    partitions_def=BUSINESS_DAYS,
)
def audited_tables(
    context: dg.AssetExecutionContext, platform: Platform, config: Publication
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """A new, immutable version of the day, its manifest in the chain, and the readers' pointer."""
    settings, day = platform.settings(), _day(context)
    publisher = make_publisher(settings, f"dagster run {context.run_id}")
    published = publisher.publish(day, config.reason or None)
    manifest = published.link.manifest
    for schema in DAY_TABLES:
        output = manifest.outputs[schema.name]
        yield dg.MaterializeResult(
            asset_key=schema.name,
            metadata={"rows": output.rows, "content hash": output.hash, "version": manifest.version},
            data_version=dg.DataVersion(output.hash),
        )
    nets = {currency: figures["net_minor"] for currency, figures in manifest.totals.items()}
    yield dg.MaterializeResult(
        asset_key=AUDITED_DAY_STATUS.name,
        metadata={
            "version": manifest.version,
            "is new": published.is_new,
            "sequence in the chain": manifest.sequence,
            "manifest hash": published.link.hash,
            "net": display(nets),
            "approvals": len(manifest.approvals),
            "days to be run again": ", ".join(map(str, published.stale)) or "none",
        },
        data_version=dg.DataVersion(published.link.hash),
    )
    yield from map(check_result, judge_published(platform.lake(), published.link, settings.finance_keys))


def _day(context: dg.AssetExecutionContext) -> date:
    return date.fromisoformat(context.partition_key)


def _frozen(frozen: Freezing) -> dict[str, object]:
    snapshot = frozen.snapshot
    return {
        "snapshot": snapshot.snapshot,
        "is new": frozen.is_new,
        "taken at": dg.MetadataValue.timestamp(snapshot.taken_at),
        "source": snapshot.source,
        **({"published silver": snapshot.source_version} if snapshot.source_version else {}),
        **{f"rows of {name}": table.rows for name, table in snapshot.tables.items()},
    }


_SHOWN_BREAKS = 100


def _figures(judged: Judgement) -> dict[str, object]:
    """Counts per pass and break type, and the breaks themselves."""
    rows, breaks = judged.tables["reconciled_rows"], judged.tables["audited_daily_breaks"].to_pylist()
    per_pass = rows.group_by("pass").aggregate([("item_id", "count")]).to_pylist()
    still_open = [row for row in breaks if row["status"] == "open"]
    shown = ("break_id", "break_type", "group_key", "merchant_id", "currency", "amount_minor", "fee_minor", "age_days")
    records = [
        dg.TableRecord({name: row[name] for name in shown})
        for row in sorted(still_open, key=lambda row: (-row["age_days"], row["break_id"]))[:_SHOWN_BREAKS]
    ]
    types = {row["break_type"] for row in still_open}
    return {
        **{f"rows: {row['pass'] or 'no pass'}": row["item_id_count"] for row in per_pass},
        **{f"open: {kind}": sum(row["break_type"] == kind for row in still_open) for kind in sorted(types)},
        "open breaks": len(still_open),
        "closed breaks": len(breaks) - len(still_open),
        "staged": judged.verdict.staged,
        "breaks": dg.MetadataValue.table(records, _BREAK_COLUMNS),
    }


_BREAK_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn(name, kind)
        for name, kind in (
            ("break_id", "string"),
            ("break_type", "string"),
            ("group_key", "string"),
            ("merchant_id", "string"),
            ("currency", "string"),
            ("amount_minor", "int"),
            ("fee_minor", "int"),
            ("age_days", "int"),
        )
    ]
)

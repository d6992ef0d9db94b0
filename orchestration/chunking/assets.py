"""From the log to bronze. By hand an asset run drains the backlog; live, the sensor does the same in ticks."""

from collections.abc import Iterator

import dagster as dg

from expectations import tables
from expectations.payments import PAYMENT
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.events import Totals, materializations
from orchestration.chunking.follow import drain
from orchestration.house_rules import DATA_ENGINEERS, LIVE, RETRIES
from orchestration.reporting import described
from orchestration.resources import Platform

transaction_log = dg.AssetSpec(
    "transaction_log",
    group_name="source",
    description=(
        "The company's transaction log, a growing CSV file outside the gates. It is the one place with card numbers in "
        "clear, and nothing of ours writes to it."
    ),
    kinds={"csv", "file"},
    owners=DATA_ENGINEERS,
)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            "landing_chunks",
            deps=[transaction_log],
            group_name="landing",
            description=(
                "The log cut into chunk files of at most 10,000 entries, in the canonical columns: card numbers are "
                "tokens, amounts are integers. A chunk never crosses a line of the pattern grid."
            ),
            kinds={"python", "csv"},
            owners=DATA_ENGINEERS,
            freshness_policy=LIVE,
            metadata=described(PAYMENT),
        ),
        dg.AssetSpec(
            "source_quarantine",
            deps=[transaction_log],
            group_name="landing",
            description="Entries that cannot become a payment event, each with its position and the rule it broke.",
            kinds={"python", "deltalake"},
            owners=DATA_ENGINEERS,
            metadata=described(tables.SOURCE_QUARANTINE),
        ),
        dg.AssetSpec(
            "payments_raw_bronze",
            deps=["landing_chunks"],
            group_name="bronze",
            description="Every landed event as it came, and where it came from; appended exactly once, change feed on.",
            kinds={"python", "deltalake", "bronze"},
            owners=DATA_ENGINEERS,
            freshness_policy=LIVE,
            metadata=described(tables.PAYMENTS_RAW_BRONZE),
        ),
    ],
    retry_policy=RETRIES,
)
def chunked_payments(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult]:
    """Drains the log: tick after tick, without waiting for the clock."""
    chunker = make_chunker(platform.settings())
    totals = Totals()
    with chunker.alone():
        for tick in drain(chunker, platform.is_final):
            totals = totals.plus(tick)
            context.log.info(f"{tick.chunk.name}: {tick.rows:,} rows, {tick.quarantined:,} quarantined")
    for event in materializations(totals, chunker.lake):
        yield dg.MaterializeResult(asset_key=event.asset_key, metadata=event.metadata)

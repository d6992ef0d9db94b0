"""From landed chunks to detection files. By hand an asset run works off what waits; live, the stream does."""

from collections.abc import Iterator

import dagster as dg

from expectations import tables
from orchestration.detection.assemble import has_work, make_detector
from orchestration.detection.events import materializations
from orchestration.house_rules import DATA_ENGINEERS, LIVE, RETRIES
from orchestration.reporting import described
from orchestration.resources import Platform, Spark


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            "pattern_state",
            deps=["landing_chunks", "payments_raw_bronze"],
            group_name="patterns",
            description="Totals of every (customer, merchant) pair, as of the last evaluated cell of the pattern grid.",
            kinds={"spark", "deltalake"},
            owners=DATA_ENGINEERS,
            metadata=described(tables.PATTERN_STATE),
            freshness_policy=LIVE,
        ),
        dg.AssetSpec(
            "pattern_status",
            deps=["pattern_state"],
            group_name="patterns",
            description="Which pattern holds now, for every customer and merchant for which one ever held.",
            kinds={"spark", "deltalake"},
            owners=DATA_ENGINEERS,
            metadata=described(tables.PATTERN_STATUS),
        ),
        dg.AssetSpec(
            "detections",
            deps=["pattern_state"],
            group_name="patterns",
            description=(
                "The outbox of detections: UPGRADE, CHILD and DEI-NEEDED, each raised once per customer and merchant, "
                "the first time it holds. A function of the log and the chunk size alone."
            ),
            kinds={"spark", "deltalake"},
            owners=DATA_ENGINEERS,
            metadata=described(tables.DETECTIONS),
        ),
        dg.AssetSpec(
            "detection_files",
            deps=["detections"],
            group_name="patterns",
            description="CSV files of exactly 50 detections each, for those who act on them. Fewer than 50 wait.",
            kinds={"python", "csv"},
            owners=DATA_ENGINEERS,
            metadata=described(tables.DETECTION_FILES),
        ),
    ],
    retry_policy=RETRIES,
)
def found_patterns(
    context: dg.AssetExecutionContext, platform: Platform, spark: Spark
) -> Iterator[dg.MaterializeResult]:
    """Works off every complete grid cell that is not evaluated yet. Spark starts only if there is one."""
    settings, batches = platform.settings(), []
    if has_work(settings):
        from spark_jobs.pattern_detector.stream import work_off

        for batch in work_off(make_detector(settings, spark.session(settings)), owner=context.run_id):
            batches.append(batch)
            context.log.info(f"cells {batch.first_cell}-{batch.last_cell}: {batch.detections} detections")
    for event in materializations(batches, platform.lake()):
        yield dg.MaterializeResult(asset_key=event.asset_key, metadata=event.metadata)

"""Housekeeping as assets, so that it can be seen, scheduled and run by hand like everything else."""

import dagster as dg

from orchestration.house_rules import DAILY, DATA_ENGINEERS, RETRIES
from orchestration.maintenance.housekeeping import archive_chunks, compact_tables
from orchestration.medallion.publishing import compact_silver
from orchestration.medallion.retention import thin
from orchestration.resources import Platform

GROUP = "maintenance"


@dg.asset(
    deps=[
        "payments_raw_bronze",
        "source_quarantine",
        "pattern_state",
        "pattern_status",
        "detections",
        "detection_files",
    ],
    group_name=GROUP,
    kinds={"python", "deltalake"},
    owners=DATA_ENGINEERS,
    retry_policy=RETRIES,
    freshness_policy=DAILY,
)
def compacted_tables(platform: Platform) -> dg.MaterializeResult:
    """Every Delta table with its small files merged, its unneeded files removed, and its log checkpointed."""
    done = compact_tables(platform.lake())
    rows = [
        dg.TableRecord(
            {"table": c.table, "files before": c.files_before, "files after": c.files_after, "vacuumed": c.vacuumed}
        )
        for c in done
    ]
    return dg.MaterializeResult(
        metadata={"tables": len(done), **({"files": dg.MetadataValue.table(rows)} if rows else {})}
    )


@dg.asset(
    deps=["landing_chunks", "pattern_state"],
    group_name=GROUP,
    kinds={"python", "csv"},
    owners=DATA_ENGINEERS,
    retry_policy=RETRIES,
    freshness_policy=DAILY,
)
def landing_archive(platform: Platform) -> dg.MaterializeResult:
    """Chunk files that bronze and the detector have worked off, moved out of the landing zone."""
    lake = platform.lake()
    names = archive_chunks(lake)
    return dg.MaterializeResult(metadata={"archived now": len(names), "path": dg.MetadataValue.path(str(lake.archive))})


@dg.asset(
    deps=["published_silver", "published_gold"],
    group_name=GROUP,
    kinds={"python", "parquet"},
    owners=DATA_ENGINEERS,
    retry_policy=RETRIES,
    freshness_policy=DAILY,
)
def kept_publications(platform: Platform) -> dg.MaterializeResult:
    """Publications thinned out: all of one hour, hourly ones for a day, then daily; silver's small files merged."""
    lake, clock = platform.lake(), platform.settings().clock
    merged, thinned = compact_silver(lake, clock), thin(lake, clock())
    return dg.MaterializeResult(
        metadata={
            "publications removed": thinned.versions,
            "files removed": thinned.files,
            "bytes removed": thinned.bytes,
            "files of silver before": merged.files_before,
            "files of silver after": merged.files_after,
        }
    )

"""The figures that the medallion shows with its assets: the same from a run by hand and from the live one."""

from collections.abc import Iterator

import dagster as dg

from expectations.catalog import Lake
from orchestration.mart import GOLD, SILVER
from orchestration.medallion.increments import Increment
from orchestration.medallion.publishing import Publication
from orchestration.query import run_query
from orchestration.reporting import materialization

_HEADLINE = (
    "SELECT period, round(100 * approval_rate, 2) AS approval_percent, authorisations, approvals, declines "
    "FROM gold.v_executive_kpis WHERE currency = 'ALL' ORDER BY period"
)


def materializations(publication: Publication, lake: Lake) -> Iterator[dg.AssetMaterialization]:
    """One per published domain."""
    shared = {
        "as of": str(publication.as_of or "never"),
        "bronze rows covered": publication.bronze_rows,
        "seconds": round(publication.duration_s, 3),
        "path": dg.MetadataValue.path(str(lake.mart)),
    }
    yield materialization(
        "published_silver",
        {
            "dagster/row_count": publication.new_rows,
            "version": publication.versions[SILVER].version,
            "files written": publication.files,
            **shared,
        },
    )
    yield materialization(
        "published_gold",
        {"version": publication.versions[GOLD].version, "approval": _headline(lake), **shared},
    )


def live_events(increment: Increment, lake: Lake) -> Iterator[dg.AssetMaterialization | dg.AssetObservation]:
    """The same for an increment of the live run, with its lags; and what it did to silver.

    Of silver it is an observation: dbt's tests, which are silver's checks, belong to the last full build.
    """
    if not increment.publication.is_published:
        return
    pace = {
        "lag seconds (bronze to published)": round(increment.bronze_lag_s, 3),
        "lag seconds (event to published)": round(increment.event_lag_s, 3),
        "dbt seconds": round(increment.dbt_s, 3),
        "publish seconds": round(increment.publish_s, 3),
    }
    yield dg.AssetObservation(
        "payments_enriched_silver",
        metadata={"new rows": increment.publication.new_rows, "dbt seconds": round(increment.dbt_s, 3)},
    )
    for event in materializations(increment.publication, lake):
        yield dg.AssetMaterialization(event.asset_key, metadata={**event.metadata, **pace})


def _headline(lake: Lake) -> dg.MetadataValue:
    """The approval rate, as a table to look at."""
    rows = run_query(lake, _HEADLINE).to_pylist()
    return dg.MetadataValue.table(
        [dg.TableRecord({name: str(value) for name, value in row.items()}) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, "string") for name in rows[0]]) if rows else dg.TableSchema([]),
    )

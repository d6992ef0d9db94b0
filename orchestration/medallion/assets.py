"""From bronze to the published marts. By hand, or on a schedule, the whole with all tests; live, the stream does it."""

from collections.abc import Iterator

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from orchestration.house_rules import DATA_ENGINEERS, LIVE
from orchestration.medallion import gate
from orchestration.medallion.dbt_runner import dbt_folder, generation, set_environment, warehouse_alone
from orchestration.medallion.events import materializations
from orchestration.medallion.increments import check_bronze
from orchestration.medallion.project import OneGraph, manifest
from orchestration.medallion.publishing import publish
from orchestration.reporting import check_results, check_spec
from orchestration.resources import Platform

GROUP = "marts"


class Rebuild(dg.Config):
    """How much is built anew.

    Attributes:
        full_refresh: silver and the rollups from the whole of bronze, instead of from what has landed since.
        day: a UTC day (2026-10-31) whose derived columns and rollups are made anew, after a rule has changed.
    """

    full_refresh: bool = False
    day: str = ""

    def arguments(self) -> list[str]:
        """As dbt takes them."""
        full = ["--full-refresh"] if self.full_refresh else []
        return full + (["--vars", f"{{rebuild_day: '{self.day}'}}"] if self.day else [])


@dbt_assets(manifest=manifest(), dagster_dbt_translator=OneGraph(), name="medallion")
def medallion(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, platform: Platform, config: Rebuild
) -> Iterator[object]:
    """Every model, with all its tests, while no other process has the warehouse. A failed test ends the run."""
    lake = platform.lake()
    with warehouse_alone(lake):
        check_bronze(lake)
        set_environment(lake)
        invocation = dbt.cli(["build", *config.arguments()], context=context, target_path=dbt_folder(lake))
        yield from invocation.stream()


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            "published_silver",
            deps=["payments_enriched_silver", "payments_quarantine", "payments_duplicates", "increments"],
            group_name=GROUP,
            description="Silver as readers see it: immutable Parquet files, one version at a time, behind mart.duckdb.",
            kinds={"python", "parquet", "silver"},
            owners=DATA_ENGINEERS,
            freshness_policy=LIVE,
            skippable=True,
        ),
        dg.AssetSpec(
            "published_gold",
            deps=[*gate.GOLD_VIEWS, "as_of", "published_silver"],
            group_name=GROUP,
            description="The gold views as readers see them: published together, and only when every check passes.",
            kinds={"python", "parquet", "gold"},
            owners=DATA_ENGINEERS,
            freshness_policy=LIVE,
            skippable=True,
        ),
    ],
    check_specs=[check_spec(check) for check in gate.CHECKS],
)
def published_marts(
    context: dg.AssetExecutionContext, platform: Platform
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Audits what the warehouse holds and publishes it. What does not pass stays unpublished; the checks say why."""
    settings, lake = platform.settings(), platform.lake()
    with warehouse_alone(lake):
        publication = publish(lake, settings.clock, generation=generation(lake))
    if publication.is_published:
        for event in materializations(publication, lake):
            yield dg.MaterializeResult(asset_key=event.asset_key, metadata=event.metadata)
    yield from check_results(publication.outcomes, context)

"""The checks of the medallion that dbt and the gate do not make."""

from collections.abc import Iterator

import dagster as dg

from orchestration.medallion.increments import PUBLICATION_LAG, publication_lag
from orchestration.reporting import check_results, check_spec
from orchestration.resources import Platform


@dg.multi_asset_check(specs=[check_spec(PUBLICATION_LAG)], name="publication_watch", can_subset=True)
def publication_watch(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Whether what landed is published; live, every increment reports the same."""
    yield from check_results([publication_lag(platform.lake(), platform.settings().clock())], context)

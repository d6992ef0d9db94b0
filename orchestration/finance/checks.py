"""The check of finance that is about all days at once: the nightly audit makes it."""

from collections.abc import Iterator

import dagster as dg

from orchestration.finance.published_checks import CHAIN_VERIFIES, judge_chain
from orchestration.reporting import check_results, check_spec
from orchestration.resources import Platform


@dg.multi_asset_check(specs=[check_spec(CHAIN_VERIFIES)], name="finance_verification", can_subset=True)
def finance_verification(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Every hash of every audited day, from the files alone."""
    yield from check_results([judge_chain(platform.lake(), platform.settings().finance_keys)], context)

"""The checks of the chunking flow, over the whole lake. They gate what is downstream in the same run."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from expectations.settings import HOME
from orchestration.chunking import audit
from orchestration.chunking.watch import look
from orchestration.reporting import check_results, check_spec
from orchestration.resources import Platform


@dg.multi_asset_check(specs=[check_spec(check) for check in audit.CHECKS], name="chunking_checks", can_subset=True)
def chunking_checks(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Conservation in counts and money, offset, schema, and no card number anywhere."""
    outside = [] if context.instance.is_ephemeral else [Path(context.instance.root_directory), HOME / "logs"]
    outcomes = audit.check_lake(platform.lake(), [folder for folder in outside if folder.exists()])
    yield from check_results(outcomes, context)


@dg.multi_asset_check(specs=[check_spec(check) for check in audit.LIVE_CHECKS], name="chunker_watch", can_subset=True)
def chunker_watch(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Whether the log can be read and nothing waits in it for long; live, the sensors evaluate the same."""
    yield from check_results(look(platform.settings()), context)

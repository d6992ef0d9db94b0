"""The checks of the chunking flow, over the whole lake. They gate what is downstream in the same run."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from orchestration.chunking import audit
from orchestration.reporting import check_result, check_spec
from orchestration.resources import Platform


@dg.multi_asset_check(specs=[check_spec(check) for check in audit.CHECKS], name="chunking_checks")
def chunking_checks(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Conservation in counts and money, offset, schema, and no card number anywhere."""
    outside = [Path(context.instance.root_directory)] if not context.instance.is_ephemeral else []
    for outcome in audit.check_lake(platform.lake(), [folder for folder in outside if folder.exists()]):
        yield check_result(outcome)


@dg.multi_asset_check(specs=[check_spec(check) for check in audit.LIVE_CHECKS], name="chunker_watch")
def chunker_watch(platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Whether the log can be read and nothing waits in it for long; live, the sensors evaluate the same."""
    from orchestration.chunking.watch import look

    for outcome in look(platform.settings()):
        yield check_result(outcome)

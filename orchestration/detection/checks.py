"""The checks of the detection flow, over the whole lake."""

from collections.abc import Iterator

import dagster as dg

from orchestration.detection import audit
from orchestration.reporting import check_results, check_spec
from orchestration.resources import Platform


@dg.multi_asset_check(specs=[check_spec(check) for check in audit.CHECKS], name="detection_checks", can_subset=True)
def detection_checks(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """State, status, detections and files agree with each other and with bronze."""
    yield from check_results(audit.check_lake(platform.lake(), platform.settings().clock), context)

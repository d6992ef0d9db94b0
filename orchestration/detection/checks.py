"""The checks of the detection flow, over the whole lake."""

from collections.abc import Iterator

import dagster as dg

from orchestration.detection import audit
from orchestration.reporting import check_result, check_spec
from orchestration.resources import Platform


@dg.multi_asset_check(specs=[check_spec(check) for check in audit.CHECKS], name="detection_checks")
def detection_checks(platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """State, status, detections and files agree with each other and with bronze."""
    for outcome in audit.check_lake(platform.lake(), platform.settings().clock):
        yield check_result(outcome)

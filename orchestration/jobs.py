"""Jobs that cross the flows."""

import dagster as dg

from orchestration.maintenance.assets import GROUP as MAINTENANCE

from_log_to_files = dg.define_asset_job(
    "from_log_to_files",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups(MAINTENANCE),
    description="The whole graph once: drains the log, works off what waits, and checks everything.",
)

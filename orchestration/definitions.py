"""Everything that Dagster shows: one graph, of the same shape in every environment."""

import dagster as dg

from orchestration import jobs
from orchestration.alerts import sensors as alerts
from orchestration.chunking import assets as chunking
from orchestration.chunking import checks as chunking_checks
from orchestration.chunking import sensors as chunking_sensors
from orchestration.detection import assets as detection
from orchestration.detection import checks as detection_checks
from orchestration.detection import jobs as detection_jobs
from orchestration.detection import sensors as detection_sensors
from orchestration.finance import assets as finance
from orchestration.finance import checks as finance_checks
from orchestration.finance import jobs as finance_jobs
from orchestration.maintenance import assets as maintenance
from orchestration.maintenance import checks as maintenance_checks
from orchestration.maintenance import schedules as maintenance_schedules
from orchestration.medallion import assets as medallion
from orchestration.medallion import checks as medallion_checks
from orchestration.medallion import jobs as medallion_jobs
from orchestration.medallion import sensors as medallion_sensors
from orchestration.medallion.project import dbt_resource
from orchestration.resources import Platform, Spark

_FLOWS = (chunking, detection, medallion, finance, maintenance)

defs = dg.Definitions(
    assets=dg.load_assets_from_modules(_FLOWS, include_specs=True),
    asset_checks=dg.load_asset_checks_from_modules(
        [chunking_checks, detection_checks, medallion_checks, finance_checks, maintenance_checks]
    ),
    jobs=[
        jobs.from_log_to_files,
        jobs.audit,
        detection_jobs.pattern_stream,
        medallion_jobs.live_medallion,
        medallion_jobs.full_build,
        finance_jobs.daily_finance,
        maintenance_schedules.maintenance,
    ],
    schedules=[
        jobs.nightly_audit,
        medallion_jobs.hourly_full_build,
        finance_jobs.nightly_finance,
        maintenance_schedules.hourly_maintenance,
    ],
    sensors=[
        chunking_sensors.chunker_sensor,
        chunking_sensors.offset_watchdog,
        detection_sensors.detections_sensor,
        medallion_sensors.medallion_sensor,
        alerts.run_failure_alert,
    ],
    # A process per step costs seconds each for what takes less than one; runs are processes of their own anyway.
    executor=dg.in_process_executor,
    resources={"platform": Platform(), "spark": Spark(), "dbt": dbt_resource()},
)

"""The lingering run. Its job targets no asset, so that automation does not see the assets as always in progress."""

import dagster as dg

from orchestration.detection import audit
from orchestration.detection.assemble import make_detector
from orchestration.detection.events import materializations
from orchestration.reporting import report_live
from orchestration.resources import Platform, Spark


@dg.op(description="Keeps Spark warm, and reports a materialisation of each asset with every micro-batch.")
def detect_patterns(context: dg.OpExecutionContext, platform: Platform, spark: Spark) -> None:
    """Streams until idle for long, or old; see `detector_idle_seconds` and `detector_max_life_seconds`."""
    from spark_jobs.pattern_detector.stream import linger

    settings = platform.settings()
    detector = make_detector(settings, spark.session(settings))
    stream = linger(detector, context.run_id, settings.detector_idle_seconds, settings.detector_max_life_seconds)
    for batch in stream:
        report_live(context, materializations([batch], detector.lake), audit.check_micro_batch(detector.lake, batch))


@dg.job(description="The detector as a stream: one run lingers, warm, while chunks keep landing.")
def pattern_stream() -> None:
    detect_patterns()

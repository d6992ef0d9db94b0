"""Spark's Python daemon, with what the workers need imported before it forks them: they start faster and share it."""

from pyspark import daemon

import spark_jobs.pattern_detector.worker  # noqa: F401 - imported for the workers to come

if __name__ == "__main__":
    daemon.manager()

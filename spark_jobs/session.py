"""The Spark session: how it is configured, and how it starts on any machine."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from expectations.settings import HOME, Settings
from spark_jobs.connector import CONNECTOR_CONF
from spark_jobs.java import java_home

_WHERE_S3_IS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")
"""What workers on other machines are told. Who they are they know by themselves: no secret goes through Spark."""

_COME_WITH_SPARK = (
    "com.fasterxml.jackson.core:jackson-core",
    "com.fasterxml.jackson.core:jackson-databind",
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.apache.logging.log4j:log4j-api",
    "org.apache.logging.log4j:log4j-core",
    "org.apache.logging.log4j:log4j-slf4j2-impl",
    "org.slf4j:slf4j-api",
)
"""What packages ask for in other versions than Spark brings, whose own must stay the only ones."""

_LOGGING = Path(__file__).with_name("log4j2.properties")


def prepare_environment(is_local: bool = True) -> None:
    """What Spark's launcher reads from the environment of this process.

    Args:
        is_local: executors are in this process, so that nothing needs to be reached from elsewhere.
    """
    os.environ["JAVA_HOME"] = str(java_home(HOME))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if is_local:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def is_local(settings: Settings) -> bool:
    """Whether Spark runs in this process rather than on a cluster."""
    return settings.spark_master.startswith("local")


def spark_config(settings: Settings) -> dict[str, str]:
    """The configuration of every session: small, warm micro-batches rather than huge scans."""
    local = is_local(settings)
    aws = {f"spark.executorEnv.{name}": os.environ[name] for name in _WHERE_S3_IS if name in os.environ}
    return {
        "spark.app.name": "tollgate",
        "spark.master": settings.spark_master,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.detector_buckets),
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1000000",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.streaming.metricsEnabled": "false",
        "spark.sql.streaming.minBatchesToRetain": "10",
        "spark.python.worker.reuse": "true",
        "spark.python.daemon.module": "spark_jobs.python_daemon",
        "spark.sql.warehouse.dir": str(HOME.resolve() / "spark-warehouse"),
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}",
        **aws,
        **({"spark.driver.memory": "1g", "spark.driver.host": "127.0.0.1"} if local else {}),
        **({"spark.jars.packages": ",".join(settings.spark_packages)} if settings.spark_packages else {}),
        **({"spark.jars.excludes": ",".join(_COME_WITH_SPARK)} if settings.spark_packages else {}),
        **(CONNECTOR_CONF if settings.delta_connector else {}),
        **settings.spark_conf,
    }


@contextmanager
def launching(settings: Settings) -> Iterator[None]:
    """Around the start of a session: sets the environment, and gives the Java process a log file to speak to.

    Spark and its workers inherit the error stream of the process that starts them, and keep it.
    """
    prepare_environment(is_local(settings))
    log = HOME / "logs" / "spark.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(log, "ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def start_session(settings: Settings) -> SparkSession:
    """Starts Spark, or returns the session that runs already in this process."""
    builder = SparkSession.builder
    for key, value in spark_config(settings).items():
        builder = builder.config(key, value)
    with launching(settings):
        return builder.getOrCreate()

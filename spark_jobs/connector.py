"""The Delta Spark connector, in place of delta-rs: executors write the rows of a table, and Spark commits them.

What is exactly once by delta-rs is so here: both remember, in the table, the position that an application has reached.
"""

from typing import TYPE_CHECKING

from expectations.errors import SettingsError
from expectations.places import Location, absolute, is_local

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
"""The connector for the Spark that is installed, as TOLLGATE_SPARK_PACKAGES takes it."""

CONNECTOR_CONF = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Logs are short, see `expectations.delta`: the connector's 50 partitions for reading one cost seconds.
    "spark.databricks.delta.snapshotPartitions": "1",
}


def append_once(frame: "DataFrame", path: Location, app: str, upto: int) -> None:
    """Appends rows that bring `app` to the exclusive position `upto`; does nothing where it is there already."""
    _writer(frame, app, upto).mode("append").save(_url(path))


def replace_partitions_once(frame: "DataFrame", path: Location, app: str, upto: int) -> None:
    """As `append_once`, but the rows take the place of all others in their partitions."""
    _writer(frame, app, upto).mode("overwrite").option("partitionOverwriteMode", "dynamic").save(_url(path))


def read(spark: "SparkSession", path: Location) -> "DataFrame":
    """A table that either has written."""
    return spark.read.format("delta").load(_url(path))


def _writer(frame: "DataFrame", app: str, upto: int) -> "DataFrameWriter":
    return frame.write.format("delta").option("txnAppId", app).option("txnVersion", upto)


def _url(path: Location) -> str:
    if not is_local(path):
        raise SettingsError(
            "the connector commits to S3 without a condition, so that two writers can lose rows",
            where=path,
            remedy="unset TOLLGATE_DELTA_CONNECTOR: delta-rs commits by conditional puts, and rows pass by the driver",
        )
    return absolute(path)

"""What assets, checks and sensors share at run time: the settings, and a Spark session that starts when first used."""

from typing import Any

import dagster as dg
from dagster_pyspark import PySparkResource
from dagster_pyspark.resources import spark_session_from_config

from expectations.catalog import Lake
from expectations.settings import Settings, load_settings


class Platform(dg.ConfigurableResource):
    """The settings of this place. Empty fields take what the environment says, when a run asks, never while loading.

    Attributes:
        lake_root, log, cards, users: paths, or places on S3.
        chunk_size: rows per grid cell.
        is_final: the log is complete, so that its last, shorter cell counts too.
        unsigned_approvals: approvals of blocked days need no signature, as in the demo.
    """

    lake_root: str = ""
    log: str = ""
    cards: str = ""
    users: str = ""
    chunk_size: int = 0
    is_final: bool = False
    unsigned_approvals: bool = False

    def settings(self) -> Settings:
        return load_settings(
            lake=self.lake_root or None,
            log=self.log or None,
            cards=self.cards or None,
            users=self.users or None,
            chunk_size=self.chunk_size or None,
            finance_unsigned_approvals=self.unsigned_approvals or None,
        )

    def lake(self) -> Lake:
        return Lake(self.settings().lake)


class Spark(PySparkResource):
    """dagster-pyspark's session, but lazy: a step that finds nothing to do does not pay for its start."""

    spark_config: dict[str, Any] = {}

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Nothing yet."""

    def session(self, settings: Settings) -> Any:
        """The session for these settings, with `spark_config` on top."""
        from spark_jobs import session

        with session.launching(settings):
            return spark_session_from_config(session.spark_config(settings) | self.spark_config)

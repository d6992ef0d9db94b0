"""What all tests share: an environment without Tollgate's settings, and one Spark session."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_KEPT = ("TOLLGATE_BANKSIM",)


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> Iterator[None]:
    """Nothing that is set on this machine decides how a test ends."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [*os.environ]:
            if name.startswith(("TOLLGATE_", "DAGSTER_")) and name not in _KEPT:
                environment.delenv(name)
        yield


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory, no_settings_from_outside: None) -> "Iterator[SparkSession]":
    """The one Spark session: started by the first test that wants it, in a folder of its own."""
    from expectations.settings import Settings
    from spark_jobs.session import start_session

    with pytest.MonkeyPatch.context() as folder:
        folder.chdir(tmp_path_factory.mktemp("spark"))
        session = start_session(Settings())
    yield session
    session.stop()

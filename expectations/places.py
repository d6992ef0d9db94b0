"""Places: files and folders on a disk or, just the same, objects on S3."""

import errno
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import GetPydanticSchema
from pydantic_core import core_schema

from expectations import files, s3
from expectations.s3 import S3Path


def location(place: str | Path | S3Path) -> Path | S3Path:
    """The place that a text names: `s3://bucket/key`, or a path on this machine.

    Raises:
        SettingsError: it names no bucket.
    """
    if not isinstance(place, str):
        return place
    return S3Path.parse(place) if place.startswith(s3.SCHEME) else Path(place)


Location = Annotated[
    Path | S3Path,
    GetPydanticSchema(lambda _, __: core_schema.no_info_plain_validator_function(location)),
]
"""A place, here or on S3; a setting of this type takes either as text."""


class Superseded(OSError):
    """Another writer came first: what is there is not what was to be replaced."""


def is_local(place: Path | S3Path) -> bool:
    return isinstance(place, Path)


def absolute(place: Path | S3Path) -> str:
    """What names the place to any process of any machine that can reach it."""
    return str(place.resolve()) if isinstance(place, Path) else str(place)


def make_folder(folder: Path | S3Path) -> None:
    """S3 has no folders: there is nothing to make."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)


def names(folder: Path | S3Path, after: str = "") -> list[str]:
    """Names of the files in a folder, sorted; those behind `after` only. None where there is no such folder."""
    if isinstance(folder, S3Path):
        return [found.path.name for found in folder.objects(after, recursive=False)]
    if not folder.exists():
        return []
    return sorted(path.name for path in folder.iterdir() if path.name > after)


def modified_at(path: Path | S3Path) -> datetime:
    """When the file appeared.

    Raises:
        FileNotFoundError: it is not there.
    """
    if isinstance(path, Path):
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return _found(path).modified_at


def _found(path: S3Path) -> s3.S3Object:
    found = path.find()
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "no such object", str(path))
    return found


def size_bytes(path: Path | S3Path) -> int:
    """How long the file is.

    Raises:
        FileNotFoundError: it is not there.
    """
    return path.stat().st_size if isinstance(path, Path) else _found(path).size


def files_below(folder: Path | S3Path) -> list[Path | S3Path]:
    """Every file in a folder and the folders in it, sorted; a link is none."""
    if isinstance(folder, S3Path):
        return [found.path for found in folder.objects()]
    # Not rglob: it breaks off when a folder goes away meanwhile.
    below = (Path(place) / name for place, _, file_names in os.walk(folder) for name in file_names)
    return sorted(found for found in below if found.is_file() and not found.is_symlink())


def read_range(path: Path | S3Path, offset: int, size: int) -> bytes:
    """Up to `size` bytes from `offset`; fewer only where the file ends. Costs the same at any offset."""
    if isinstance(path, S3Path):
        return path.read_range(offset, size)
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)


def open_stream(path: Path | S3Path) -> BinaryIO:
    """The file from its start, forwards."""
    return open(path, "rb") if isinstance(path, Path) else path.open_stream()


def open_whole(path: Path | S3Path) -> BinaryIO:
    """The file for reads in any order. From S3 it is fetched as a whole: for the lake's small files."""
    return open(path, "rb") if isinstance(path, Path) else io.BytesIO(path.read_bytes())


def read_versioned(path: Path | S3Path) -> tuple[bytes, str] | None:
    """The content, and what tells it from any other; None where there is no file."""
    try:
        if isinstance(path, S3Path):
            return path.read_versioned()
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return content, _version(content)


def replace(path: Path | S3Path, content: bytes, over: str | None) -> str:
    """The fence: writes the file in the place of that version, or where none is if it is None; returns the new one.

    On S3 the condition and the write are one step, whoever else writes. On a disk they are two, and writers keep each
    other out by a lock.

    Raises:
        Superseded: there is another version by now.
    """
    if isinstance(path, S3Path):
        try:
            return path.create(content) if over is None else path.replace(content, over)
        except (FileExistsError, FileNotFoundError) as error:
            raise Superseded(error.errno, "another writer came first", str(path)) from error
    found = read_versioned(path)
    if (found[1] if found else None) != over:
        raise Superseded(errno.EEXIST, "another writer came first", str(path))
    with files.replacing(path) as file:
        file.write(content)
    return _version(content)


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def replacing(path: Path | S3Path) -> Iterator[BinaryIO]:
    """What is written appears as a whole on leaving, in the place of what was there."""
    if isinstance(path, Path):
        with files.replacing(path) as file:
            yield file
        return
    content = io.BytesIO()
    yield content
    path.write_bytes(content.getvalue())


@contextmanager
def written_here(place: Path | S3Path) -> Iterator[Path]:
    """For those who can write to a disk only: a path on this machine, and on leaving what is in its folder is uploaded.

    A place on a disk is that path itself.
    """
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / place.name
        for path in sorted(Path(folder).iterdir()):
            if path.suffix != ".lock":
                place.with_name(path.name).upload(path)


def move(path: Path | S3Path, folder: Path | S3Path, name: str | None = None) -> Path | S3Path:
    """Moves a file into a folder, under its own name or another. Killed in the middle and done again, it ends alike.

    On a disk this is one rename; on S3 the file is in both places for a moment.
    """
    target = folder / (name or path.name)
    if isinstance(path, S3Path):
        path.move(target)
    else:
        path.rename(target)
        files.sync_folder(target.parent)
    return target

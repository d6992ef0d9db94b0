"""Places: what a disk and S3 do alike, and what S3 says when it refuses."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations import s3
from expectations.errors import LakeBusy, SettingsError
from expectations.lease import Lease, read_lease
from expectations.places import (
    Location,
    Superseded,
    files_below,
    location,
    make_folder,
    modified_at,
    move,
    names,
    open_stream,
    open_whole,
    read_range,
    read_versioned,
    replace,
    replacing,
    size_bytes,
    written_here,
)
from expectations.s3 import S3Path
from expectations.settings import load_settings


@pytest.fixture(params=["disk", "s3"])
def folder(request: pytest.FixtureRequest) -> Location:
    return request.getfixturevalue("tmp_path" if request.param == "disk" else "s3_folder") / "folder"


def put(path: Location, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)


@pytest.mark.parametrize("url", ["s3://bucket/a/b.csv", "s3://bucket/a/b.csv/"])
def test_a_place_on_s3(url: str):
    place = location(url)
    assert place == S3Path("bucket", "a/b.csv")
    assert (str(place), place.name, place.suffix) == ("s3://bucket/a/b.csv", "b.csv", ".csv")
    assert (place.parent / "c", place.with_name("c"), str(S3Path("bucket", ""))) == (
        S3Path("bucket", "a/c"),
        S3Path("bucket", "a/c"),
        "s3://bucket",
    )


@pytest.mark.parametrize("url", ["s3://", "s3:///key"])
def test_a_place_without_a_bucket_is_none(url: str):
    with pytest.raises(SettingsError, match="no place on S3"):
        location(url)


def test_settings_take_either(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOLLGATE_LAKE", "s3://bucket/lake")
    found = load_settings(log="here/log.csv")
    assert (found.lake, found.log) == (S3Path("bucket", "lake"), Path("here/log.csv"))


def test_what_is_written_is_there(folder: Location):
    path = folder / "file.csv"
    assert not path.exists() and read_versioned(path) is None and names(folder) == []
    put(path, b"0123456789")
    assert path.exists() and folder.is_dir() and not folder.is_file() and path.is_file()
    assert (path.read_bytes(), size_bytes(path), names(folder)) == (b"0123456789", 10, ["file.csv"])
    assert abs(modified_at(path) - datetime.now(UTC)) < timedelta(minutes=1)
    with open_whole(path) as file:
        file.seek(7)
        assert file.read() == b"789"
    with open_stream(path) as file:
        assert (file.read(3), file.read()) == (b"012", b"3456789")
    path.unlink(missing_ok=True)
    assert not path.exists()


@pytest.mark.parametrize(
    ("offset", "size", "content"), [(0, 4, b"0123"), (8, 100, b"89"), (10, 5, b""), (99, 5, b""), (3, 0, b"")]
)
def test_stretches(folder: Location, offset: int, size: int, content: bytes):
    put(folder / "file", b"0123456789")
    assert read_range(folder / "file", offset, size) == content


def test_what_is_not_there(folder: Location):
    for ask in (
        size_bytes,
        modified_at,
        open_whole,
        lambda path: read_range(path, 0, 1),
        lambda path: path.read_bytes(),
    ):
        with pytest.raises(FileNotFoundError) as raised:
            ask(folder / "none")
        assert str(folder / "none") in str(raised.value)


def test_a_bucket_that_is_not_there_is_named(s3_bucket: S3Path):
    with pytest.raises(FileNotFoundError, match="NoSuchBucket") as raised:
        S3Path("no-such-bucket", "file").write_bytes(b"")
    assert raised.value.filename == "s3://no-such-bucket/file"


def test_an_s3_that_does_not_answer_is_named(s3_folder: S3Path, monkeypatch: pytest.MonkeyPatch):
    s3._client_of.cache_clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    try:
        with pytest.raises(OSError, match="S3 cannot be reached"):
            s3_folder.read_bytes()
    finally:
        s3._client_of.cache_clear()


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_taken_from_either_variable(monkeypatch: pytest.MonkeyPatch, name: str):
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "eu-west-3")
    s3._client_of.cache_clear()
    try:
        assert s3.delta_options() == {"aws_conditional_put": "etag", "aws_region": "eu-west-3"}
        assert "REGION 'eu-west-3'" in s3.duckdb_secret() and "ENDPOINT" not in s3.duckdb_secret()
    finally:
        s3._client_of.cache_clear()


def test_names_are_sorted_direct_and_behind_a_name(folder: Location):
    for name in ("b", "a", "c"):
        put(folder / name, b"")
    put(folder / "below" / "d", b"")
    assert [name for name in names(folder) if name != "below"] == ["a", "b", "c"]
    assert [name for name in names(folder, after="a") if name != "below"] == ["b", "c"]
    assert files_below(folder) == sorted([folder / "a", folder / "b", folder / "below" / "d", folder / "c"])


def test_a_file_moves_and_keeps_its_content(folder: Location):
    put(folder / "old", b"content")
    make_folder(folder / "archive")
    assert move(folder / "old", folder / "archive") == folder / "archive" / "old"
    assert move(folder / "archive" / "old", folder, "new") == folder / "new"
    assert (folder / "new").read_bytes() == b"content"
    assert files_below(folder) == [folder / "new"]


def test_who_writes_to_a_disk_only_ends_up_at_the_place(folder: Location):
    make_folder(folder)
    with written_here(folder / "log.csv") as path:
        path.write_bytes(b"log")
        path.with_name("log.truth.csv").write_bytes(b"truth")
    assert (folder / "log.csv").read_bytes() == b"log" and (folder / "log.truth.csv").read_bytes() == b"truth"


@given(steps=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_fence_lets_only_those_pass_who_saw_the_last_version(folder: Location, steps: list[tuple[int, bool]]):
    """Writers look when they will, and write over what they saw: a write counts if nobody wrote in between."""
    path = folder / os.urandom(8).hex()
    seen: dict[int, str | None] = {}
    current, content = None, None
    for number, (writer, looks) in enumerate(steps):
        if looks:
            found = read_versioned(path)
            seen[writer] = found[1] if found else None
        elif writer in seen:
            try:
                version = replace(path, f"{number}".encode(), over=seen[writer])
            except Superseded:
                assert seen[writer] != current
            else:
                assert seen[writer] == current
                seen[writer] = current = version
                content = f"{number}".encode()
    found = read_versioned(path)
    assert found == (None if content is None else (content, current))


@pytest.mark.parametrize("is_there", [False, True])
def test_of_many_who_race_on_s3_one_passes(s3_folder: S3Path, is_there: bool):
    path, passed = s3_folder / "fence", []
    over = path.write_bytes(b"first") if is_there else None

    def race(number: int) -> None:
        with contextlib.suppress(Superseded):
            replace(path, f"{number}".encode(), over)
            passed.append(number)

    with ThreadPoolExecutor(8) as threads:
        [*threads.map(race, range(8))]
    assert [f"{number}".encode() for number in passed] == [path.read_bytes()]


def test_a_lease_that_was_thought_dead_learns_of_its_successor(s3_folder: S3Path):
    """A machine that was asleep for a while goes on: it must not work beside the run that took over."""
    now = [datetime(2026, 3, 14, tzinfo=UTC)]
    path = s3_folder / "lease.json"
    with pytest.raises(LakeBusy, match="successor"), Lease(path, "sleeper", lambda: now[0]) as sleeper:
        now[0] += timedelta(hours=1)
        with Lease(path, "successor", lambda: now[0]):
            sleeper.renew()
    assert read_lease(path) is None

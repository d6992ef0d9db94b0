"""Thinning: all versions of an hour, then one of each hour, then one of each day, and no file that is needed goes."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from expectations.catalog import Lake
from expectations.clock import frozen_clock
from orchestration.mart import Version, current_names, files_folder, read_versions
from orchestration.medallion.publishing import publish
from orchestration.medallion.retention import kept, thin
from orchestration.query import run_query
from tests.support.warehouse import START, add_rows, copied

NOW = datetime.fromisoformat("2026-11-10T12:30:00+00:00")


def version(minutes_ago: float) -> Version:
    """A version that was published so long ago."""
    published_at = NOW - timedelta(minutes=minutes_ago)
    return Version(
        domain="gold",
        version=f"{published_at.isoformat()}",
        as_of=published_at,
        is_live=True,
        published_at=published_at,
        bronze_rows=0,
        newest_event_at=None,
        files={},
    )


def ages(versions: list[Version]) -> list[int]:
    return sorted(round((NOW - found.published_at).total_seconds() / 60) for found in versions)


def test_all_of_the_last_hour_then_hourly_then_daily():
    hour, day = 60, 24 * 60
    versions = [version(minutes) for minutes in (0, 1, 59, 60, 61, 85, 95, 5 * hour, 5 * hour + 20, day, day + 1)]
    versions += [version(3 * day), version(3 * day + 60), version(40 * day)]
    # 12:30 now: 60, 61 and 85 minutes ago were 11:30, 11:29 and 11:05, of one hour; 95 was 10:55.
    assert ages(kept(versions, NOW)) == [0, 1, 59, 60, 95, 300, 1440, 4320, 57600]


@example(minutes=[91, 92], steps=[1, 1348])
@given(minutes=st.lists(st.integers(0, 4 * 24 * 60), unique=True, max_size=60), steps=st.lists(st.integers(1, 3000)))
def test_thinning_often_keeps_what_thinning_once_keeps(minutes, steps):
    """So that it does not matter when housekeeping runs."""
    versions = [version(ago) for ago in minutes]
    often, now = versions, NOW
    for step in steps:
        now += timedelta(minutes=step)
        often = kept(often, now)
    assert ages(often) == ages(kept(versions, now) if steps else versions)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three publications: two three hours ago, within one hour of the clock, and one now. Their files are as old."""
    lake = Lake(tmp_path_factory.mktemp("published"))
    for hours_ago, upto in ((3.1, 100), (3, 150), (0, 200)):
        moment = NOW - timedelta(hours=hours_ago)
        before = {*lake.marts.rglob("*.parquet")}
        add_rows(lake, upto)
        publish(lake, frozen_clock(moment))
        for path in {*lake.marts.rglob("*.parquet")} - before:
            os.utime(path, (moment.timestamp(), moment.timestamp()))
    return lake


@pytest.fixture
def lake(tmp_path: Path, published: Lake) -> Lake:
    """The same, to be thinned."""
    return copied(published, tmp_path)


def named(lake: Lake) -> set[str]:
    return {
        file.name
        for domain in ("silver", "gold")
        for found in read_versions(lake, domain)
        for files in found.files.values()
        for file in files
    }


def stored(lake: Lake) -> set[str]:
    return {path.name for domain in ("silver", "gold") for path in files_folder(lake, domain).iterdir()}


def test_versions_go_and_with_them_the_files_that_only_they_needed(lake):
    contents = run_query(lake, "FROM silver.payments_enriched_silver ORDER BY _row_number")
    thinning = thin(lake, NOW)
    assert thinning.versions == 2 and thinning.files > 10 and thinning.bytes > 0
    assert [found.bronze_rows for found in read_versions(lake, "gold")] == [150, 200]
    assert named(lake) == stored(lake)
    assert run_query(lake, "FROM silver.payments_enriched_silver ORDER BY _row_number") == contents
    assert thin(lake, NOW).versions == thin(lake, NOW).files == 0


def test_the_current_version_stays_however_old(lake):
    names = current_names(lake)
    thin(lake, NOW + timedelta(days=400))
    assert current_names(lake) == names
    assert {found.version for found in read_versions(lake, "gold")} >= {names["gold"]}
    assert len(run_query(lake, "FROM gold.v_executive_kpis")) > 0


def test_files_stay_an_hour_for_readers(lake):
    for path in lake.marts.rglob("*.parquet"):
        os.utime(path, (NOW.timestamp() - 3000, NOW.timestamp() - 3000))
    before = stored(lake)
    assert thin(lake, NOW).files == 0
    assert stored(lake) == before
    assert thin(lake, NOW + timedelta(minutes=20)).files > 10
    assert named(lake) == stored(lake)


def test_what_a_killed_publication_left_goes_later(lake):
    left = files_folder(lake, "silver") / ".payments_enriched_silver_200_300.tmp"
    left.write_bytes(b"half")
    os.utime(left, (NOW.timestamp(), NOW.timestamp()))
    thin(lake, NOW)
    assert left.exists()
    thin(lake, NOW + timedelta(hours=2))
    assert not left.exists()


def test_an_empty_lake(tmp_path):
    assert thin(Lake(tmp_path), NOW).versions == 0


def test_as_of_still_opens_what_is_kept(lake):
    thin(lake, NOW)
    at_150 = START + timedelta(minutes=149)
    assert run_query(lake, "SELECT bronze_rows FROM meta.publications", at_150)["bronze_rows"].to_pylist() == [150, 150]

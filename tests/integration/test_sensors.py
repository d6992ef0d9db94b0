"""The sensors, tick by tick: what they report, when they stay silent, and how they tell of a failure once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from data.simulate import write_log
from expectations.catalog import Lake
from expectations.clock import system_clock
from expectations.lease import Lease
from expectations.places import written_here
from orchestration import lingering
from orchestration.chunking import sensors as chunking
from orchestration.detection import sensors as detection
from orchestration.detection.jobs import pattern_stream
from orchestration.medallion import sensors as medallion
from orchestration.medallion.increments import Medallion
from orchestration.resources import Platform

ROWS, CHUNK_SIZE = 1_500, 1_000


@pytest.fixture
def platform(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A company's log of one and a half grid cells, and a new lake: on a disk, or on S3 on demand."""
    monkeypatch.setenv("TOLLGATE_TOKEN_KEY", "k" * 32)
    monkeypatch.chdir(tmp_path)
    folder = request.getfixturevalue("s3_folder") if getattr(request, "param", "disk") == "s3" else tmp_path
    with written_here(folder / "company.csv") as log:
        write_log(log, ROWS, seed=3)
    return Platform(lake_root=str(folder / "lake"), log=str(folder / "company.csv"), chunk_size=CHUNK_SIZE)


ANYWHERE = pytest.mark.parametrize("platform", ["disk", "s3"], indirect=True)


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles of the alerts that were sent."""
    sent: list[str] = []
    for module in (chunking, lingering):
        monkeypatch.setattr(module, "notify", lambda urls, title, body: sent.append(title))
    return sent


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield instance


def tick(platform: Platform, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(cursor=cursor)
    return chunking.chunker_sensor(context, platform=platform)


def look(platform: Platform, instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    return detection.detections_sensor(dg.build_sensor_context(instance=instance), platform=platform)


@ANYWHERE
def test_a_tick_reports_its_assets_and_checks(platform: Platform):
    result = tick(platform)
    materialised = {e.asset_key.to_user_string() for e in result.asset_events if isinstance(e, dg.AssetMaterialization)}
    verdicts = [event for event in result.asset_events if isinstance(event, dg.AssetCheckEvaluation)]
    assert materialised == {"landing_chunks", "source_quarantine", "payments_raw_bronze"}
    assert {v.check_name for v in verdicts} >= {"entries_conserved", "offset_monotonic", "no_card_numbers"}
    assert all(verdict.passed for verdict in verdicts)


@ANYWHERE
def test_ticks_follow_the_grid_and_end_in_silence(platform: Platform):
    first, second, third = tick(platform), tick(platform), tick(platform)
    assert [first.cursor, second.cursor] == ['{"entries": 1000}', '{"entries": 1500}']
    assert isinstance(third, dg.SkipReason)


def test_one_cause_is_told_once_and_its_end_too(platform: Platform, alerts: list[str]):
    good = tick(platform)
    log = Path(platform.log)
    kept = log.read_bytes()
    log.write_bytes(kept[:100])
    failed = tick(platform, good.cursor)
    again = tick(platform, failed.cursor)
    (verdict,) = failed.asset_events
    assert (verdict.check_name, verdict.passed) == ("source_readable", False)
    assert isinstance(again, dg.SkipReason)
    assert len(alerts) == 1
    log.write_bytes(kept)
    healed = tick(platform, failed.cursor)
    assert all(event.passed for event in healed.asset_events if isinstance(event, dg.AssetCheckEvaluation))
    assert "failure" not in healed.cursor


def test_another_cause_is_told_too(platform: Platform, alerts: list[str]):
    failed = tick(platform, '{"failure": "SourceError: something else"}')
    assert "failure" not in failed.cursor
    Path(platform.log).unlink()
    gone = tick(platform, failed.cursor)
    other = tick(platform, '{"failure": "SourceError: something else"}')
    assert not gone.asset_events[0].passed and not other.asset_events[0].passed
    assert len(alerts) == 2


def test_the_watchdog_tells_of_an_old_offset_once(
    platform: Platform, alerts: list[str], monkeypatch: pytest.MonkeyPatch
):
    tick(platform)
    fresh = chunking.offset_watchdog(dg.build_sensor_context(), platform=platform)
    later = (system_clock() + timedelta(minutes=5)).isoformat()
    monkeypatch.setenv("TOLLGATE_FROZEN_CLOCK", later)
    stale = chunking.offset_watchdog(dg.build_sensor_context(cursor=fresh.cursor), platform=platform)
    silent = chunking.offset_watchdog(dg.build_sensor_context(cursor=stale.cursor), platform=platform)
    assert (fresh.asset_events[0].passed, stale.asset_events[0].passed) == (True, False)
    assert isinstance(silent, dg.SkipReason)
    assert len(alerts) == 1


def test_no_run_without_a_complete_cell(platform: Platform, instance: dg.DagsterInstance):
    assert isinstance(look(platform, instance), dg.SkipReason)


def test_a_run_when_a_cell_waits(platform: Platform, instance: dg.DagsterInstance):
    tick(platform)
    assert isinstance(look(platform, instance), dg.RunRequest)


def test_no_second_run_while_the_lease_lives(platform: Platform, instance: dg.DagsterInstance):
    tick(platform)
    with Lease(Lake(Path(platform.lake_root)).detector_lease, "some run"):
        assert "some run" in look(platform, instance).skip_message
    assert isinstance(look(platform, instance), dg.RunRequest)


@pytest.mark.parametrize(("status", "minutes"), [(DagsterRunStatus.STARTED, 0), (DagsterRunStatus.STARTING, 1.5)])
def test_a_run_has_time_to_start(
    platform: Platform,
    instance: dg.DagsterInstance,
    status: DagsterRunStatus,
    minutes: float,
    monkeypatch: pytest.MonkeyPatch,
):
    """A machine that is busy takes long for it."""
    tick(platform)
    instance.create_run_for_job(pattern_stream, status=status)
    monkeypatch.setattr(lingering, "system_clock", lambda: system_clock() + timedelta(minutes=minutes))
    assert "is starting" in look(platform, instance).skip_message


def test_a_ghost_is_failed_and_replaced(
    platform: Platform, instance: dg.DagsterInstance, alerts: list[str], monkeypatch: pytest.MonkeyPatch
):
    """As after the whole stack was killed: Dagster believes that the run is going on, but nobody renews its lease."""
    tick(platform)
    run = instance.create_run_for_job(pattern_stream, status=DagsterRunStatus.STARTED)
    monkeypatch.setattr(lingering, "system_clock", lambda: system_clock() + timedelta(minutes=2))
    assert isinstance(look(platform, instance), dg.RunRequest)
    assert instance.get_run_by_id(run.run_id).status is DagsterRunStatus.FAILURE
    assert len(alerts) == 1


def test_the_medallion_is_started_when_bronze_is_ahead_and_only_then(platform: Platform, instance: dg.DagsterInstance):
    def ask() -> dg.RunRequest | dg.SkipReason:
        return medallion.medallion_sensor(dg.build_sensor_context(instance=instance), platform=platform)

    assert "all 0 landed rows" in ask().skip_message
    tick(platform)
    assert isinstance(ask(), dg.RunRequest)
    lake = Lake(Path(platform.lake_root))
    with Lease(lake.medallion_lease, "a run"):
        assert "a run is at work" in ask().skip_message
    Medallion(lake, system_clock).increment()
    assert "landed rows are published" in ask().skip_message

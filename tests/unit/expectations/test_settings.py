"""Settings: from the environment, else the defaults; a bad one is one line that names it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from expectations.clock import frozen_clock, system_clock
from expectations.errors import SettingsError, TollgateError
from expectations.settings import load_settings
from expectations.thresholds import CHUNK_SIZE_ROWS


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a `.env`, and an environment without settings of ours."""
    import os

    for name in [name for name in os.environ if name.startswith("TOLLGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_setting_everything_is_below_one_folder():
    settings = load_settings()
    assert settings.chunk_size == CHUNK_SIZE_ROWS
    assert {path.parts[0] for path in (settings.lake, settings.log, settings.token_key_file)} == {".tollgate"}


def test_the_argument_comes_before_the_environment_before_the_file(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    (elsewhere / ".env").write_text("TOLLGATE_LAKE=from-file\nTOLLGATE_LOG=from-file\nTOLLGATE_CHUNK_SIZE=3\n")
    monkeypatch.setenv("TOLLGATE_LOG", "from-environment")
    monkeypatch.setenv("TOLLGATE_CHUNK_SIZE", "4")
    settings = load_settings(chunk_size=5, lake=None)
    assert (str(settings.lake), str(settings.log), settings.chunk_size) == ("from-file", "from-environment", 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOLLGATE_CHUNK_SIZE", "many"),
        ("TOLLGATE_CHUNK_SIZE", "0"),
        ("TOLLGATE_CHUNK_SIZE", "1000001"),
        ("TOLLGATE_FROZEN_CLOCK", "noon"),
        ("TOLLGATE_DETECTOR_BUCKETS", "-1"),
    ],
)
def test_a_value_that_does_not_parse_is_one_line_that_names_it(name: str, value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as error:
        load_settings()
    assert "\n" not in str(error.value)


def test_a_list_that_is_not_json_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOLLGATE_NOTIFY_URLS", "https://hooks.example.com")
    with pytest.raises(SettingsError, match="notify_urls") as error:
        load_settings()
    assert "\n" not in str(error.value)


def test_the_clock_of_a_replay_stands_still(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOLLGATE_FROZEN_CLOCK", "2026-11-20T13:00:00+01:00")
    clock = load_settings().clock
    assert clock() == clock() == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert clock().tzinfo is UTC


def test_the_other_clock_goes_on():
    assert load_settings().clock is system_clock
    assert frozen_clock(system_clock())() <= system_clock()
    assert system_clock().tzinfo is UTC


def test_an_error_says_what_where_and_what_to_do():
    assert str(TollgateError("no log", where=Path("a.csv"), remedy="make one")) == "no log (a.csv) - make one"
    assert str(TollgateError("no log")) == "no log"

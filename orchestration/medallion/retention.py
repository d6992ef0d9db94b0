"""How long publications are kept: all for one hour, hourly for a day, then daily."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from expectations.catalog import Lake
from expectations.files import sync_folder
from orchestration.mart import (
    DOMAINS,
    Version,
    current_names,
    files_folder,
    manifest_path,
    publishing_alone,
    read_versions,
    versions_folder,
)

KEEP_ALL, KEEP_HOURLY = timedelta(hours=1), timedelta(days=1)

KEEP_FILES = timedelta(hours=1)
"""How long a file that no kept version names stays, for readers that still have its version open."""


@dataclass(frozen=True)
class Thinning:
    """What was removed: versions, and the files that only they needed."""

    versions: int
    files: int
    bytes: int


def thin(lake: Lake, now: datetime) -> Thinning:
    """Removes versions that are not kept any more, then files that no kept one names. May be killed and run again."""
    with publishing_alone(lake):
        thinned = [_thin(lake, domain, now) for domain in DOMAINS]
    return Thinning(*(sum(figures) for figures in zip(*thinned, strict=True)))


def kept(versions: Sequence[Version], now: datetime) -> list[Version]:
    """The versions that are kept at `now`: the last of each day, for a day the last of each hour, for an hour all.

    A version is the last of its hour, or day, among all of it, those that are kept anyway included: so it does not
    matter how often thinning happens.
    """
    in_order = sorted(versions, key=lambda version: (version.published_at, version.order))
    last_of_hour = {_hour(version): version for version in in_order}
    last_of_day = {_hour(version).date(): version for version in in_order}

    def is_kept(version: Version) -> bool:
        age = now - version.published_at
        return (
            age <= KEEP_ALL
            or (age <= KEEP_HOURLY and last_of_hour[_hour(version)] is version)
            or last_of_day[_hour(version).date()] is version
        )

    return [version for version in in_order if is_kept(version)]


def _hour(version: Version) -> datetime:
    return version.published_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _thin(lake: Lake, domain: str, now: datetime) -> tuple[int, int, int]:
    versions = read_versions(lake, domain)
    names = {version.version for version in kept(versions, now)} | {current_names(lake).get(domain)}
    gone = [version for version in versions if version.version not in names]
    for version in gone:
        manifest_path(lake, domain, version.version).unlink()
    if gone:
        sync_folder(versions_folder(lake, domain))
    needed = {
        file.name
        for version in versions
        if version.version in names
        for files in version.files.values()
        for file in files
    }
    return len(gone), *_remove(_unneeded(files_folder(lake, domain), needed, now))


def _unneeded(folder: Path, needed: set[str], now: datetime) -> list[Path]:
    """Also what a killed publication left behind."""
    born_before = (now - KEEP_FILES).timestamp()
    files = folder.iterdir() if folder.exists() else ()
    return [path for path in files if path.name not in needed and path.stat().st_mtime < born_before]


def _remove(paths: Sequence[Path]) -> tuple[int, int]:
    size = sum(path.stat().st_size for path in paths)
    for path in paths:
        path.unlink()
    return len(paths), size

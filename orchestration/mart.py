"""What is published: the versions of each domain, which of them readers see, and the file of views onto those.

A domain's folder holds Parquet files that never change, and one manifest per version that names them. One small file
says which version of each domain is current: replacing it publishes. `mart.duckdb` is made from it.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, TypeAdapter

from expectations.card_numbers import fingerprint
from expectations.catalog import Lake
from expectations.delta import sql_text
from expectations.files import replacing
from orchestration.outcomes import Outcome

SILVER, GOLD = "silver", "gold"
DOMAINS = (SILVER, GOLD)

CommitPoint = Callable[[str], None]
"""Called by name when a commit point has been passed; tests die there."""

_DIGEST_LETTERS = 16
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_CURRENT = TypeAdapter(dict[str, str])


class PublishedFile(BaseModel):
    """A Parquet file of a version.

    Attributes:
        name: in the domain's folder of files; it tells the content.
        rows: how many it holds.
        from_row, upto_row: of an appended relation, the entries of the source log (exclusive end) that it covers.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    rows: int
    from_row: int = 0
    upto_row: int = 0


Files = Mapping[str, tuple[PublishedFile, ...]]
"""Per relation, its files in order."""


class Version(BaseModel):
    """One state of a domain, as its manifest holds it.

    Attributes:
        domain: silver or gold.
        version: its identity: the position that it covers, and a digest of what it holds.
        as_of: what gold took for now; None while silver is empty.
        is_live: whether that was the wall clock.
        published_at: when it was published first.
        bronze_rows: entry of the source log up to which it covers bronze (exclusive).
        newest_event_at: its latest event.
        generation: which build of the warehouse its rows are from.
        ledger: digest of the increments that it covers; another one means another silver.
        files: what it is made of.
        outcomes: the verdicts of the checks that it passed.
    """

    model_config = ConfigDict(frozen=True)

    domain: str
    version: str = ""
    as_of: datetime | None
    is_live: bool
    published_at: datetime
    bronze_rows: int
    newest_event_at: datetime | None
    generation: str = ""
    ledger: str = ""
    files: Files
    outcomes: tuple[Outcome, ...] = ()

    @property
    def rows(self) -> dict[str, int]:
        """Rows per relation."""
        return {relation: sum(file.rows for file in files) for relation, files in self.files.items()}

    @property
    def order(self) -> tuple[datetime, datetime, int]:
        """Sorts versions from the oldest state to the newest."""
        return (self.as_of or _LONG_AGO, self.published_at, self.bronze_rows)


Versions = Mapping[str, Version]
"""At most one version of each domain."""


def identified(version: Version) -> Version:
    """The version with its identity: the same position and content give the same one."""
    files = {relation: [file.name for file in files] for relation, files in sorted(version.files.items())}
    as_of = version.as_of and version.as_of.astimezone(UTC).isoformat()
    content = (as_of, version.is_live, version.generation, version.ledger, files)
    identity = f"{version.bronze_rows}_{short_digest(repr(content).encode())}"
    return version.model_copy(update={"version": identity})


def short_digest(content: bytes) -> str:
    """Eighty bits of SHA-256 in base32, for names."""
    return fingerprint(content)[:_DIGEST_LETTERS]


def files_folder(lake: Lake, domain: str) -> Path:
    """Where a domain's Parquet files are."""
    return lake.marts / domain / "files"


def versions_folder(lake: Lake, domain: str) -> Path:
    """Where a domain's manifests are."""
    return lake.marts / domain / "versions"


def manifest_path(lake: Lake, domain: str, version: str) -> Path:
    """Where the manifest of a version is."""
    return versions_folder(lake, domain) / f"{version}.json"


@contextlib.contextmanager
def publishing_alone(lake: Lake) -> Iterator[None]:
    """Holds the lock under which publications of any domain, and what cleans up after them, take turns."""
    lake.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(lake.locks / "marts.lock"):
        yield


def read_versions(lake: Lake, domain: str) -> list[Version]:
    """Every kept version of a domain, the oldest state first."""
    found = []
    for path in versions_folder(lake, domain).glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # thinned out since it was listed
            found.append(_read_manifest(path))
    return sorted(found, key=lambda version: version.order)


def current_names(lake: Lake) -> dict[str, str]:
    """The identity of each domain's current version; empty before the first publication."""
    try:
        return _CURRENT.validate_json(_current_file(lake).read_bytes())
    except FileNotFoundError:
        return {}


def current_version(lake: Lake, domain: str) -> Version | None:
    """A domain's current version, if it has one."""
    name = current_names(lake).get(domain)
    return _read_manifest(manifest_path(lake, domain, name)) if name else None


def current_versions(lake: Lake) -> Versions:
    """What readers see: one version of each domain that was ever published."""
    return {domain: _read_manifest(manifest_path(lake, domain, name)) for domain, name in current_names(lake).items()}


def show(lake: Lake, versions: Versions, passed: CommitPoint) -> bool:
    """Makes these the versions that all readers see; tells whether anything had to be written.

    The files that they name must be there, on disk. Call it while publishing alone.
    """
    missing = [
        version for version in versions.values() if not manifest_path(lake, version.domain, version.version).exists()
    ]
    for version in missing:
        content = version.model_dump_json(indent=1).encode()
        _write(manifest_path(lake, version.domain, version.version), content + b"\n")
        passed(f"{version.domain} manifest")
    names = {domain: version.version for domain, version in sorted(versions.items())}
    # What was published before is as it was published then.
    versions = {domain: _read_manifest(manifest_path(lake, domain, name)) for domain, name in names.items()}
    is_moved = names != current_names(lake)
    if is_moved:
        _write(_current_file(lake), _CURRENT.dump_json(names, indent=1) + b"\n")
        passed("current")
    is_stale = is_moved or not _is_made_from(lake, versions)
    if is_stale:
        _make_mart(lake, versions, passed)
    return bool(missing) or is_stale


def create_views(connection: duckdb.DuckDBPyConnection, lake: Lake, versions: Versions) -> None:
    """The schemas silver, gold and meta, as views onto the files of these versions."""
    for statement in _view_statements(lake, versions):
        connection.execute(statement)


def _read_manifest(path: Path) -> Version:
    return Version.model_validate_json(path.read_bytes())


def _current_file(lake: Lake) -> Path:
    return lake.marts / "current.json"


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)


def _view_statements(lake: Lake, versions: Versions) -> list[str]:
    statements = [f"CREATE SCHEMA {schema}" for schema in (*sorted(versions), "meta")]
    for domain, version in sorted(versions.items()):
        folder = files_folder(lake, domain).resolve()
        for relation, files in sorted(version.files.items()):
            paths = ", ".join(sql_text(str(folder / file.name)) for file in files)
            statements.append(f'CREATE VIEW {domain}."{relation}" AS SELECT * FROM read_parquet([{paths}])')
    return [*statements, _publications_view(versions)]


def _publications_view(versions: Versions) -> str:
    rows = ", ".join(
        f"({sql_text(domain)}, {sql_text(version.version)}, {_instant(version.as_of)}, "
        f"{_instant(version.published_at)}, {version.bronze_rows}::BIGINT, "
        f"{sum(outcome.passed for outcome in version.outcomes)}::BIGINT)"
        for domain, version in sorted(versions.items())
    )
    columns = "domain, version, as_of, published_at, bronze_rows, checks_passed"
    return f"CREATE VIEW meta.publications AS SELECT * FROM (VALUES {rows}) AS publications({columns})"


def _instant(instant: datetime | None) -> str:
    return f"{sql_text(instant.isoformat())}::TIMESTAMPTZ" if instant else "NULL::TIMESTAMPTZ"


def _make_mart(lake: Lake, versions: Versions, passed: CommitPoint) -> None:
    """Builds the file beside the old one, and puts it in its place. Whoever has the old one open keeps it."""
    built = lake.marts / ".mart.build"
    for left in (built, built.with_name(f"{built.name}.wal")):
        left.unlink(missing_ok=True)
    statements = _view_statements(lake, versions)
    with contextlib.closing(duckdb.connect(str(built))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"COMMENT ON VIEW meta.publications IS {sql_text(_made_from(statements))}")
    passed("mart built")
    # What somebody may have written into the old file must not be applied to the new one.
    lake.mart.with_name(f"{lake.mart.name}.wal").unlink(missing_ok=True)
    _write(lake.mart, built.read_bytes())
    built.unlink()
    passed("mart")


def _made_from(statements: list[str]) -> str:
    return fingerprint("\n".join(statements).encode())


def _is_made_from(lake: Lake, versions: Versions) -> bool:
    """Whether the file of views shows these versions. Where somebody locks it, nobody can tell: then it does not."""
    expected = _made_from(_view_statements(lake, versions))
    with contextlib.closing(duckdb.connect()) as connection, contextlib.suppress(duckdb.Error):
        connection.execute(f"ATTACH {sql_text(str(lake.mart))} AS mart (READ_ONLY)")
        found = connection.execute(
            "SELECT comment FROM duckdb_views() WHERE database_name = 'mart' AND view_name = 'publications'"
        ).fetchone()
        return found == (expected,)
    return False

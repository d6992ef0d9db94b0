"""Questions to what is published: as it is now, or as it was."""

import contextlib
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from expectations.catalog import Lake
from expectations.errors import TollgateError
from orchestration.mart import DOMAINS, Versions, create_views, current_versions, read_versions


class QueryError(TollgateError):
    """A query that DuckDB refuses."""


class NothingPublished(TollgateError):
    """There is no publication to ask, or none so old."""


def open_mart(lake: Lake, as_of: datetime | None = None) -> duckdb.DuckDBPyConnection:
    """A connection of its own to the published views. It takes no lock, whoever else has the mart open.

    Args:
        lake: whose mart.
        as_of: of each domain, the newest kept version whose "now" is at or before this instant; the current versions
            if not given.

    Raises:
        NothingPublished: there is no such version.
    """
    versions = _versions_at(lake, as_of) if as_of else current_versions(lake)
    if not versions:
        raise NothingPublished("nothing is published yet", where=lake.marts, remedy="run `make demo` first")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    create_views(connection, lake, versions)
    return connection


def run_query(lake: Lake, sql: str, as_of: datetime | None = None) -> pa.Table:
    """The rows that a query gives; instants are in UTC. Without a column, where it asks for nothing.

    Args:
        lake: whose mart.
        sql: over the schemas silver, gold and meta.
        as_of: as `open_mart` takes it.

    Raises:
        NothingPublished: there is no such version.
        QueryError: DuckDB refuses the query; why, in one line.
    """
    with contextlib.closing(open_mart(lake, as_of)) as connection:
        try:
            found = connection.execute(sql)
            return found.to_arrow_table() if found.description else pa.table({})
        except duckdb.Error as error:
            raise QueryError(one_line(error)) from error


def _versions_at(lake: Lake, as_of: datetime) -> Versions:
    kept = {domain: versions for domain in DOMAINS if (versions := read_versions(lake, domain))}
    found = {
        domain: [version for version in versions if version.as_of is None or version.as_of <= as_of]
        for domain, versions in kept.items()
    }
    if kept and not any(found.values()):
        first = min(versions[0].as_of for versions in kept.values())
        raise NothingPublished(
            f"no kept publication is as of {_text(as_of)} or before",
            where=lake.marts,
            remedy=f"the first one is as of {_text(first)}",
        )
    return {domain: versions[-1] for domain, versions in found.items() if versions}


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()


def one_line(error: duckdb.Error) -> str:
    """The message, without the drawing of where in the query it went wrong."""
    return " ".join(str(error).split("\nLINE ")[0].split())

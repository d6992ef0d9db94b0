"""The audited tables as they were published at some time: it follows from the chain alone."""

import contextlib
from datetime import datetime

import duckdb
import pyarrow as pa

from expectations.catalog import Lake
from orchestration.finance.chain import read_chain
from orchestration.finance.register import FINANCE, domain_version
from orchestration.mart import create_views
from orchestration.query import NothingPublished, QueryError, one_line


def query_at(lake: Lake, sql: str, instant: datetime) -> pa.Table:
    """The rows that a query over the schema `finance` gives of what was published at an instant.

    Raises:
        NothingPublished: no day was audited by then.
        QueryError: DuckDB refuses the query.
    """
    version = domain_version(lake, read_chain(lake), instant)
    if version is None:
        raise NothingPublished(f"no day was audited by {instant.isoformat()}", where=lake.finance)
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        create_views(connection, lake, {FINANCE: version})
        try:
            return connection.execute(sql).to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(one_line(error)) from error

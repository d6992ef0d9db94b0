"""The audited tables in PostgreSQL, for who reads them there: the same current days, moved in one transaction."""

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa

from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.finance import AUDITED_DAY_STATUS, DAY_TABLES, FINANCE_TABLES
from expectations.schema import DataType, TableSchema
from orchestration.finance.business_day import read_output
from orchestration.finance.chain import Link, current_days
from orchestration.finance.register import day_register

SCHEMA = "finance"
READER = "tollgate_finance_reader"
"""A role that may read the audited tables, and nothing else. Logins are made members of it."""

_TYPES = {
    DataType.STRING: sa.Text(),
    DataType.INT64: sa.BigInteger(),
    DataType.DATE: sa.Date(),
    DataType.INSTANT: sa.DateTime(timezone=True),
}
_METADATA = sa.MetaData(schema=SCHEMA)


class MirrorFailed(TollgateError):
    """PostgreSQL did not take the audited tables; what it had before is still there."""


def _table(schema: TableSchema) -> sa.Table:
    columns = [
        sa.Column(field.name, _TYPES[field.type], primary_key=field.name in schema.key, nullable=field.nullable)
        for field in schema.fields
    ]
    return sa.Table(schema.name, _METADATA, *columns)


_TABLES = {schema.name: _table(schema) for schema in FINANCE_TABLES}


def mirror(engine: sa.Engine, lake: Lake, links: Sequence[Link]) -> list[date]:
    """Brings PostgreSQL to what the chain says is current; gives the days that had to be moved.

    Readers see all of it or nothing: it is one transaction, and a second one at the same time waits for the first.

    Raises:
        MirrorFailed: PostgreSQL refuses; why, in one line.
    """
    days = {day: link for day, link in current_days([*links]).items() if link.manifest.kind == "day"}
    register = _TABLES[AUDITED_DAY_STATUS.name]
    try:
        with engine.begin() as connection:
            _prepare(connection)
            held = dict(connection.execute(sa.select(register.c.business_date, register.c.manifest_hash)).all())
            moved = sorted(day for day in {*days, *held} if day not in days or held.get(day) != days[day].hash)
            for day in moved:
                for schema in DAY_TABLES:
                    table = _TABLES[schema.name]
                    connection.execute(sa.delete(table).where(table.c.business_date == day))
                    if day in days and (rows := read_output(lake, days[day], schema).to_pylist()):
                        connection.execute(sa.insert(table), rows)
            connection.execute(sa.delete(register))
            if lines := day_register([*links]).to_pylist():
                connection.execute(sa.insert(register), lines)
        return moved
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).splitlines()[0] if error.orig else "no connection"
        place = engine.url.render_as_string(hide_password=True)
        raise MirrorFailed(reason, where=place, remedy="check TOLLGATE_FINANCE_POSTGRES_URL") from error


def _prepare(connection: sa.Connection) -> None:
    """Makes what is not there yet; the lock makes two publications take turns."""
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('tollgate finance'))"))
    connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    _METADATA.create_all(connection)
    is_there = connection.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": READER}).first()
    if not is_there:
        connection.execute(sa.text(f"CREATE ROLE {READER} NOLOGIN"))
    connection.execute(sa.text(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {READER}"))
    connection.execute(sa.text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {READER}"))

"""A small warehouse made by hand: the relations that dbt builds, without dbt."""

import contextlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from expectations.catalog import Lake
from expectations.silver import PAYMENTS_DUPLICATES, PAYMENTS_ENRICHED_SILVER, PAYMENTS_QUARANTINE, SILVER_TABLES
from orchestration.medallion.gate import DIMENSIONS, GOLD_VIEWS

START = datetime(2026, 3, 1, tzinfo=UTC)
"""When entry 0 happened; each further one is a minute later."""

_PAYMENT = {
    "transaction_id": "'T' || n",
    "event_type": "CASE WHEN n % 13 = 0 THEN 'refund' ELSE 'authorisation' END",
    "event_timestamp": f"TIMESTAMPTZ '{START.isoformat()}' + to_minutes(n)",
    "customer_id": "'C' || n % 97",
    "merchant_id": "'M' || n % 11",
    "merchant_country": "CASE n % 3 WHEN 0 THEN 'ES' WHEN 1 THEN 'GB' END",
    "merchant_segment": "'grocery'",
    "amount_minor": "1000 + n % 777",
    "fee_minor": "10",
    "currency": "CASE n % 4 WHEN 0 THEN 'JPY' ELSE 'EUR' END",
    "weight": "10000",
    "card_network": "'visa'",
    "fraud_score": "(n % 100) / 100.0",
    "is_approved": "CASE WHEN n % 13 > 0 THEN n % 10 > 0 END",
    "decline_reason": "CASE WHEN n % 13 > 0 AND n % 10 = 0 THEN 'insufficient_funds' END",
    "is_retry": "n % 17 = 0",
    "attempt": "CASE WHEN n % 17 = 0 THEN 2 ELSE 1 END",
    "latency_ms": "100 + n % 50",
    "_ingested_at": f"TIMESTAMPTZ '{START.isoformat()}' + to_minutes(n + 1)",
    "_row_number": "n",
}
_ENRICHED = _PAYMENT | {
    "risk_tier": "CASE WHEN n % 100 > 75 THEN 'HIGH' WHEN n % 100 > 35 THEN 'MEDIUM' ELSE 'LOW' END",
    "amount_bucket": "CASE WHEN n % 4 = 0 THEN 'large' ELSE 'micro' END",
    "event_hour": f"date_trunc('hour', {_PAYMENT['event_timestamp']})",
    "event_date": f"({_PAYMENT['event_timestamp']})::DATE",
    "business_date": f"({_PAYMENT['event_timestamp']})::DATE",
}
_ROWS = {
    PAYMENTS_ENRICHED_SILVER: (_ENRICHED, "n % 50 <> 7 AND n % 40 <> 9"),
    PAYMENTS_QUARANTINE: (_PAYMENT | {"reasons": "['unknown_currency']"}, "n % 50 = 7"),
    PAYMENTS_DUPLICATES: (
        _PAYMENT | {"first_row_number": "n - 1", "is_same_content": "true"},
        "n % 40 = 9 AND n % 50 <> 7",
    ),
}

_LEDGER_SIDES = " UNION ALL ".join(
    f"SELECT currency, {int(table is PAYMENTS_ENRICHED_SILVER)} AS silver, "
    f"{int(table is PAYMENTS_QUARANTINE)} AS quarantined, {int(table is PAYMENTS_DUPLICATES)} AS duplicate, "
    f"amount_minor, {'event_timestamp' if table is PAYMENTS_ENRICHED_SILVER else 'NULL'} AS event_timestamp, "
    f"_ingested_at FROM silver.{table.name} WHERE _row_number >= {{first}}"
    for table in SILVER_TABLES
)
_LEDGER = f"""
    SELECT
      {{first}}::BIGINT AS from_row, {{upto}}::BIGINT AS upto_row, currency,
      count(*) AS bronze_rows, sum(silver)::BIGINT AS silver_rows,
      sum(quarantined)::BIGINT AS quarantined_rows, sum(duplicate)::BIGINT AS duplicate_rows, 0::BIGINT AS late_rows,
      sum(amount_minor)::HUGEINT AS bronze_minor, sum(amount_minor * silver)::HUGEINT AS silver_minor,
      sum(amount_minor * quarantined)::HUGEINT AS quarantined_minor,
      sum(amount_minor * duplicate)::HUGEINT AS duplicate_minor,
      max(event_timestamp) AS newest_event_at, max(_ingested_at) AS newest_ingested_at
    FROM ({_LEDGER_SIDES}) GROUP BY currency
"""

_IS_AUTHORISATION = "FILTER (event_type = 'authorisation')"
_MEASURES = {
    "events": "count(*)",
    "authorisations": f"count(*) {_IS_AUTHORISATION}",
    "approvals": "count(*) FILTER (event_type = 'authorisation' AND is_approved)",
    "declines": "count(*) FILTER (event_type = 'authorisation' AND NOT is_approved)",
    "undecided": "count(*) FILTER (event_type = 'authorisation' AND is_approved IS NULL)",
    "amount_minor": f"sum(amount_minor) {_IS_AUTHORISATION}",
    "approved_minor": "sum(amount_minor) FILTER (event_type = 'authorisation' AND is_approved)",
    "declined_minor": "sum(amount_minor) FILTER (event_type = 'authorisation' AND NOT is_approved)",
    "captured_minor": "0",
    "refunded_minor": "sum(amount_minor) FILTER (event_type = 'refund')",
    "reversed_minor": "0",
    "charged_back_minor": "0",
    "retries": "count(*) FILTER (event_type = 'authorisation' AND is_retry)",
    "covered_upto": "max(_row_number) + 1",
}
_MEMBERS = {"all": "'all'", "three_ds": "'(none)'"}

_ROLLUPS = {
    "payments_hourly": " UNION ALL ".join(
        f"SELECT event_hour, '{dimension}' AS dimension, "
        f"coalesce({_MEMBERS.get(dimension, dimension)}, '(none)') AS member, currency, "
        + ", ".join(f"coalesce({expression}, 0)::BIGINT AS {name}" for name, expression in _MEASURES.items())
        + " FROM silver.payments_enriched_silver GROUP BY ALL"
        for dimension in DIMENSIONS
    ),
    "retries_hourly": (
        "SELECT event_hour, '(unknown)' AS retry_reason, attempt, currency, count(*) AS attempts, "
        "max(_row_number) + 1 AS covered_upto FROM silver.payments_enriched_silver "
        "WHERE is_retry AND event_type = 'authorisation' GROUP BY ALL"
    ),
    "histograms_hourly": (
        "SELECT event_hour, 'ingest_lag_ms' AS measure, 1::SMALLINT AS bucket, count(*) AS observations, "
        "max(_row_number) + 1 AS covered_upto FROM silver.payments_enriched_silver GROUP BY ALL"
    ),
    "as_of": (
        "SELECT max(newest_event_at) AS as_of, coalesce(max(upto_row), 0)::BIGINT AS bronze_rows, false AS is_live "
        "FROM silver.increments"
    ),
}


def add_rows(lake: Lake, upto: int) -> None:
    """One increment: what dbt does once bronze has grown to `upto` entries. Some are quarantined, some duplicates."""
    with changing(lake) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS silver; CREATE SCHEMA IF NOT EXISTS gold")
        first = _make_tables(connection)
        for table, (values, condition) in _ROWS.items():
            columns = ", ".join(values.get(name, "NULL") for name in table.columns)
            connection.execute(
                f"INSERT INTO silver.{table.name} SELECT {columns} FROM range({first}, {upto}) AS entries(n) "
                f"WHERE {condition} ORDER BY n"
            )
        connection.execute("INSERT INTO silver.increments " + _LEDGER.format(first=first, upto=upto))
        refresh(connection)


def _make_tables(connection: duckdb.DuckDBPyConnection) -> int:
    """Makes them where they are not; returns where the ledger ends."""
    for table in SILVER_TABLES:
        connection.register("declared", table.arrow().empty_table())
        connection.execute(f"CREATE TABLE IF NOT EXISTS silver.{table.name} AS SELECT * FROM declared")
        connection.unregister("declared")
    connection.execute(f"CREATE TABLE IF NOT EXISTS silver.increments AS {_LEDGER.format(first=0, upto=0)} LIMIT 0")
    return connection.execute("SELECT coalesce(max(upto_row), 0) FROM silver.increments").fetchone()[0]


def refresh(connection: duckdb.DuckDBPyConnection) -> None:
    """The rollups, from silver; and gold on top of them."""
    for name, sql in _ROLLUPS.items():
        connection.execute(f"CREATE OR REPLACE TABLE silver.{name} AS {sql}")
    for view in GOLD_VIEWS:
        connection.execute(f"CREATE OR REPLACE VIEW gold.{view} AS {gold_sql(view)}")


def gold_sql(view: str) -> str:
    """A view of that name with the columns that the gate looks at."""
    hours = (
        "FROM silver.payments_hourly, silver.as_of WHERE dimension = 'all' AND event_hour <= as_of "
        "AND event_hour > as_of - INTERVAL 30 DAY"
    )
    counts = "sum(authorisations) AS authorisations, sum(approvals) AS approvals, sum(declines) AS declines"
    rate = "sum(approvals) / nullif(sum(approvals) + sum(declines), 0) AS approval_rate"
    match view:
        case "v_approval_trends_hourly":
            return f"SELECT event_hour, {counts}, {rate} {hours} GROUP BY event_hour"
        case "v_financial_summary":
            return (
                "SELECT currency, 'gross' AS line_item, sum(authorisations) AS events, "
                f"sum(amount_minor) AS amount_minor {hours} GROUP BY currency"
            )
        case _:
            return (
                f"SELECT 'last_30_days' AS period, coalesce(currency, 'ALL') AS currency, {counts}, {rate}, "
                f"CASE WHEN grouping(currency) = 0 THEN sum(amount_minor) END AS amount_minor {hours} "
                "GROUP BY GROUPING SETS ((currency), ()) HAVING count(*) > 0"
            )


@contextlib.contextmanager
def changing(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, opened for writing."""
    lake.warehouse.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(duckdb.connect(str(lake.warehouse))) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def change(lake: Lake, *statements: str) -> None:
    """Does something to the warehouse that dbt would not do."""
    with changing(lake) as connection:
        for statement in statements:
            connection.execute(statement)


def copied(lake: Lake, folder: Path) -> Lake:
    """Another lake with the same warehouse and marts, made quicker than anew."""
    shutil.copytree(lake.root, folder, dirs_exist_ok=True)
    return Lake(folder)

"""What dbt-duckdb does with every new connection: bronze becomes a view on its Delta table, and time is UTC."""

from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from expectations import delta
from expectations.places import location


class Plugin(BasePlugin):
    """Configured with `bronze`, the location of the Delta table."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        self._bronze = plugin_config.get("bronze", "")

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        conn.execute("SET TimeZone = 'UTC'")
        conn.execute("SET enable_progress_bar = false")
        bronze = location(self._bronze)
        delta.let_read(conn, bronze)
        if self._bronze:
            scan = f"delta_scan({delta.sql_text(str(bronze))})"
            conn.execute("CREATE SCHEMA IF NOT EXISTS bronze")
            conn.execute(f"CREATE OR REPLACE VIEW bronze.payments_raw_bronze AS SELECT * FROM {scan}")

"""What dbt-duckdb does with every new connection: bronze becomes a view on its Delta table, and time is UTC."""

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from expectations import delta


class Plugin(BasePlugin):
    """Configured with `bronze`, the location of the Delta table."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        self._bronze = plugin_config.get("bronze", "")

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        conn.execute("SET TimeZone = 'UTC'")
        conn.execute("SET enable_progress_bar = false")
        delta.load_extension(conn)
        if self._bronze:
            scan = f"delta_scan({delta.sql_text(str(Path(self._bronze)))})"
            conn.execute("CREATE SCHEMA IF NOT EXISTS bronze")
            conn.execute(f"CREATE OR REPLACE VIEW bronze.payments_raw_bronze AS SELECT * FROM {scan}")

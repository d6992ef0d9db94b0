"""The demo log, generated once per session, as DuckDB tables."""

from pathlib import Path

import duckdb
import pytest

from data.log_files import truth_path
from data.simulate import Simulation, write_log

DEMO_ROWS, DEMO_SEED = 400_000, 7


def tables(log: Path) -> duckdb.DuckDBPyConnection:
    """`log` and `truth` with their lines' texts and numbers, and both joined with types in `events`."""
    connection = duckdb.connect()
    for name, path in (("log", log), ("truth", truth_path(log))):
        connection.execute(
            f"create table {name} as select row_number() over () as line, * "
            "from read_csv(?, header=true, all_varchar=true, delim=',', quote='', nullstr='')",
            [str(path)],
        )
    connection.execute("""
        create table events as
        select * replace (
            event_timestamp::timestamp as event_timestamp, amount::decimal(18, 3) as amount,
            weight::decimal(18, 4) as weight, fraud_score::double as fraud_score,
            aml_score::double as aml_score, device_trust_score::double as device_trust_score,
            lat::double as lat, lon::double as lon, latency_ms::int as latency_ms, attempt::int as attempt,
            is_approved::boolean as is_approved, is_retry::boolean as is_retry, uses_3ds::boolean as uses_3ds,
            is_fraud::boolean as is_fraud
        )
        from log positional join (select is_fraud, scenario from truth)
    """)
    connection.execute("create view payments as select * from events where event_type = 'authorisation'")
    return connection


@pytest.fixture(scope="session")
def demo_simulation(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return write_log(tmp_path_factory.mktemp("demo") / "log.csv", DEMO_ROWS, DEMO_SEED)


@pytest.fixture(scope="session")
def demo(demo_simulation: Simulation) -> duckdb.DuckDBPyConnection:
    return tables(demo_simulation.log)


@pytest.fixture
def ask(demo: duckdb.DuckDBPyConnection):
    """Gives the first row of a query's answer about the demo log, or its only value."""

    def answer(query: str):
        row = demo.execute(query).fetchone()
        return row[0] if len(row) == 1 else row

    return answer

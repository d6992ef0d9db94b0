"""The rows of a company that keeps winning customers, for the detector: five million rows, a million pairs."""

from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.recompute import ROWS_DDL
from expectations.catalog import Lake
from expectations.currencies import FIXED_POINT_DECIMALS, FIXED_POINT_SCALE, minor_unit_exponents
from expectations.landing import Chunk, encode_chunk, list_chunks, read_chunk, write_chunk
from expectations.payments import PAYMENT

COHORT_ROWS = 500_000
"""After so many rows half of the customers have left, and as many new ones have come."""


def load(log: Path, chunk_size: int) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with every row of the log, as `benchmarks.recompute` wants them, and their currency.

    The simulated company's customers stay for ever; here every second one has another name in each cohort.
    """
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute(ROWS_DDL)
    connection.execute("ALTER TABLE rows_so_far ADD COLUMN currency VARCHAR")
    connection.execute(
        f"""
        INSERT INTO rows_so_far
        SELECT entry, entry // {chunk_size}, merchant_id, {renamed("customer_id", "entry")}, gender,
            CAST(CAST(amount AS DECIMAL(16, 4)) * {FIXED_POINT_SCALE} AS BIGINT),
            CAST(CAST(weight AS DECIMAL(16, 4)) * {FIXED_POINT_SCALE} AS BIGINT), currency
        FROM (SELECT row_number() OVER () - 1 AS entry, * FROM read_csv(?, header = true, all_varchar = true))
        """,
        [str(log)],
    )
    return connection


def renamed(customer: str, entry: str) -> str:
    """The SQL for a customer's name in the cohort of an entry."""
    return (
        f"CASE WHEN hash({customer}) % 2 = 0 THEN {customer} "
        f"ELSE {customer} || '-' || CAST({entry} // {COHORT_ROWS} AS VARCHAR) END"
    )


def land_slim(connection: duckdb.DuckDBPyConnection, lake: Lake, source: str, cells: range) -> None:
    """Lands cells with the canonical columns, of which those that the detector does not read are null or constant."""
    exponents = minor_unit_exponents()
    for cell in cells:
        rows = connection.execute(
            "SELECT entry, customer_id, gender, merchant_id, amount, currency, weight FROM rows_so_far "
            "WHERE cell = ? ORDER BY entry",
            [cell],
        ).to_arrow_table()
        divisors = [10 ** (FIXED_POINT_DECIMALS - exponents[code]) for code in rows["currency"].to_pylist()]
        known = {
            "customer_id": rows["customer_id"],
            "gender": rows["gender"],
            "merchant_id": rows["merchant_id"],
            "amount_minor": pa.array(rows["amount"].to_numpy() // divisors),
            "currency": rows["currency"],
            "weight": rows["weight"],
        }
        columns = [known.get(field.name, pa.nulls(len(rows), field.type)) for field in PAYMENT.arrow()]
        slim = pa.Table.from_arrays(columns, names=list(PAYMENT.columns))
        entries = rows["entry"]
        write_chunk(lake.landing, Chunk(entries[0].as_py(), entries[-1].as_py(), source), encode_chunk(slim))


def land_full(path: Path, lake: Lake) -> None:
    """Lands a real chunk file, which lies elsewhere, with its customers renamed."""
    (chunk,) = [chunk for chunk in list_chunks(path.parent) if chunk.name == path.name]
    rows = read_chunk(path)
    with duckdb.connect() as connection:
        names = connection.execute(f"SELECT {renamed('customer_id', '?')} FROM rows", [chunk.first]).to_arrow_table()
    at = rows.schema.get_field_index("customer_id")
    write_chunk(lake.landing, chunk, encode_chunk(rows.set_column(at, "customer_id", names.column(0))))

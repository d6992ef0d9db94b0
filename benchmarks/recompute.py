"""The naive detector: DuckDB over an in-memory table of all rows so far, everything from scratch for every cell.

It is written as a sensible person would: only the merchants of the cell are looked at, and each pair of theirs once.
It keeps nothing but the rows and what it has raised; it reads no file and commits nothing.
"""

import duckdb

from expectations.currencies import FIXED_POINT_SCALE
from expectations.thresholds import PATTERNS

Raised = set[tuple[str, str, str]]
"""(pattern id, customer, merchant); the customer is empty for PatId3."""

ROWS_DDL = (
    "CREATE TABLE rows_so_far (entry BIGINT, cell BIGINT, merchant_id VARCHAR, customer_id VARCHAR, "
    "gender VARCHAR, amount BIGINT, weight BIGINT)"
)
"""The rows: place in the log, grid cell, and the rest as the detector sees it; amounts in 1/10,000 of the currency."""

_WHAT_HOLDS = f"""
WITH
of_cell AS (SELECT DISTINCT merchant_id, customer_id FROM rows_so_far WHERE cell = $cell),
pairs AS (
    SELECT merchant_id, customer_id, count(*) AS transactions, sum(amount) AS amount_sum, avg(weight) AS weight_mean,
        arg_min(gender, entry) FILTER (gender IS NOT NULL) AS gender
    FROM rows_so_far
    WHERE cell <= $cell AND merchant_id IN (SELECT merchant_id FROM of_cell)
    GROUP BY ALL),
merchants AS (
    SELECT merchant_id, sum(transactions) AS transactions,
        quantile_cont(transactions, 0.9) AS count_bound, quantile_cont(weight_mean, 0.1) AS weight_bound,
        count(*) FILTER (gender = 'F') AS females, count(*) FILTER (gender = 'M') AS males
    FROM pairs GROUP BY ALL)
SELECT 'PatId1', customer_id, merchant_id
FROM of_cell JOIN pairs USING (merchant_id, customer_id) JOIN merchants USING (merchant_id)
WHERE merchants.transactions > {PATTERNS.upgrade_merchant_transactions}
    AND pairs.transactions >= count_bound AND weight_mean <= weight_bound
UNION ALL
SELECT 'PatId2', customer_id, merchant_id
FROM of_cell JOIN pairs USING (merchant_id, customer_id)
WHERE transactions >= {PATTERNS.child_transactions}
    AND amount_sum < {PATTERNS.child_average_major * FIXED_POINT_SCALE} * transactions
UNION ALL
SELECT 'PatId3', '', merchant_id FROM merchants
WHERE females > {PATTERNS.dei_female_customers} AND females < males
"""


def recompute(connection: duckdb.DuckDBPyConnection, cell: int, raised: Raised) -> Raised:
    """What holds for the pairs of the cell and was not raised before; adds it to `raised`."""
    holds = set(connection.execute(_WHAT_HOLDS, {"cell": cell}).fetchall())
    found = holds - raised
    raised |= found
    return found

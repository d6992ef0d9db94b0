"""The three patterns, recomputed from scratch for every cell of the grid: DuckDB SQL over all rows so far.

Written from the specification alone. It keeps no totals, knows no buckets and no files, and is slow.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from expectations.thresholds import PATTERNS, PatternThresholds

ACTIONS = {"PatId1": "UPGRADE", "PatId2": "CHILD", "PatId3": "DEI-NEEDED"}

# `quantile_cont` interpolates in binary floating point, and so may miss even the value that all customers share by
# its last bit. Two averages that differ at all differ by far more than this in the logs of the tests.
_SLACK = 1e-12

_WHAT_HOLDS = f"""
WITH so_far AS (
  FROM landed WHERE cell <= $cell
), pairs AS (
  SELECT merchant_id, customer_id, count(*) AS transactions,
         sum(weight)::DOUBLE / count(*) AS average_weight,
         sum(amount_minor::HUGEINT * 10 ** (3 - decimals)::INT) AS thousandths,
         arg_min(gender, place) FILTER (gender IS NOT NULL) AS gender
  FROM so_far GROUP BY ALL
), merchants AS (
  SELECT merchant_id, sum(transactions) AS transactions,
         quantile_cont(transactions, $upgrade_count_decile / 10) AS many,
         quantile_cont(average_weight, $upgrade_weight_decile / 10) AS light,
         count(*) FILTER (gender = 'F') AS females, count(*) FILTER (gender = 'M') AS males
  FROM pairs GROUP BY ALL
), occurring AS (
  SELECT merchant_id, customer_id, min(place) AS first_row FROM landed WHERE cell = $cell GROUP BY ALL
)
SELECT first_row, 'PatId1' AS pattern_id, customer_id, merchant_id,
       m.transactions > $upgrade_merchant_transactions
         AND p.transactions >= many - {_SLACK} * abs(many)
         AND average_weight <= light + {_SLACK} * abs(light) AS holds
FROM occurring JOIN pairs p USING (merchant_id, customer_id) JOIN merchants m USING (merchant_id)
UNION ALL
SELECT first_row, 'PatId2', customer_id, merchant_id,
       transactions >= $child_transactions AND thousandths < $child_average_major * 1000 * transactions
FROM occurring JOIN pairs USING (merchant_id, customer_id)
UNION ALL
SELECT min(first_row), 'PatId3', '', merchant_id, any_value(females > $dei_female_customers AND females < males)
FROM occurring JOIN merchants USING (merchant_id) GROUP BY merchant_id
ORDER BY 1, 2
"""

_TOTALS = """
SELECT merchant_id, customer_id, max(cell) AS cell, count(*) AS transactions,
       sum(amount_minor::HUGEINT * 10 ** (4 - decimals)::INT)::BIGINT AS amount_sum, sum(weight)::BIGINT AS weight_sum,
       arg_min(CASE WHEN gender IN ('F', 'M') THEN gender ELSE 'other' END, place)
         FILTER (gender IS NOT NULL) AS gender
FROM landed WHERE cell < $cells GROUP BY ALL
UNION ALL
SELECT merchant_id, '', max(cell), count(*), 0, 0, NULL FROM landed WHERE cell < $cells GROUP BY ALL
"""

_DECIMALS = {"EUR": 2, "USD": 2, "GBP": 2, "JPY": 0, "KWD": 3}

Key = tuple[str, str, str]


@dataclass
class Recomputed:
    """What the detector must have found.

    Attributes:
        detections: (cell, patternId, ActionType, customer, merchant), in order.
        status: by (patternId, customer, merchant), whether it holds and since which cell.
        flips: how often a pattern began or ceased to hold.
        state: one dictionary per pair, in order of merchant and customer.
    """

    detections: list[tuple[int, str, str, str, str]] = field(default_factory=list)
    status: dict[Key, tuple[bool, int]] = field(default_factory=dict)
    flips: int = 0
    state: list[dict[str, object]] = field(default_factory=list)

    def holding(self) -> set[Key]:
        """What holds now."""
        return {key for key, (holds, _) in self.status.items() if holds}


def recompute(rows: pa.Table, cells: int, thresholds: PatternThresholds = PATTERNS) -> Recomputed:
    """Everything that the cells before `cells` give.

    Args:
        rows: `place` (ascending in the log), `cell, merchant_id, customer_id, gender, amount_minor, currency, weight`.
    """
    found = Recomputed()
    with duckdb.connect() as connection:
        connection.register("given", rows)
        decimals = " ".join(f"WHEN '{code}' THEN {decimals}" for code, decimals in _DECIMALS.items())
        connection.execute(f"CREATE TABLE landed AS SELECT *, CASE currency {decimals} END AS decimals FROM given")
        assert connection.execute("SELECT count(*) FROM landed WHERE decimals IS NULL").fetchone() == (0,)
        for cell in range(cells):
            _note(found, cell, connection.execute(_WHAT_HOLDS, _parameters(cell, thresholds)).fetchall())
        totals = connection.execute(_TOTALS, {"cells": cells}).to_arrow_table().to_pylist()
    totals.sort(key=lambda row: (row["merchant_id"], row["customer_id"]))
    found.state = [row | _bits(found, row["customer_id"], row["merchant_id"]) for row in totals]
    return found


def _parameters(cell: int, thresholds: PatternThresholds) -> dict[str, int]:
    return {"cell": cell, **vars(thresholds)}


def _note(found: Recomputed, cell: int, evaluated: Iterable[tuple[int, str, str, str, bool]]) -> None:
    """Evaluated pairs come in the order of their first row in the cell, then of the pattern."""
    for _, pattern, customer, merchant, holds in evaluated:
        key = (pattern, customer, merchant)
        held_before, _ = found.status.get(key, (False, None))
        if holds == held_before:
            continue
        found.flips += 1
        if key not in found.status:
            found.detections.append((cell, pattern, ACTIONS[pattern], customer, merchant))
        found.status[key] = (holds, cell)


def _bits(found: Recomputed, customer: str, merchant: str) -> dict[str, int]:
    raised = holding = 0
    for bit, pattern in enumerate(ACTIONS):
        holds, cell = found.status.get((pattern, customer, merchant), (False, None))
        raised |= (cell is not None) << bit
        holding |= holds << bit
    return {"raised": raised, "holding": holding}

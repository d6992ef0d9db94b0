"""The tables of a business day that are published, made from where everything ended."""

import contextlib
from collections import Counter
from collections.abc import Mapping
from datetime import date

import duckdb
import pyarrow as pa

from expectations.finance import (
    AUDITED_DAILY_BREAKS,
    AUDITED_DAILY_REVENUE,
    AUDITED_DAILY_SETTLEMENT,
    AUDITED_TRIAL_BALANCE,
)
from orchestration.finance.reconcile import Reconciliation, conformed

_SETTLEMENT = """
SELECT DATE '{day}' AS business_date, merchant_id, processor, currency,
  count(*) FILTER (is_new AND side = 'platform') AS payments,
  {gross} AS gross_minor, {refund} AS refunds_minor, {chargeback} AS chargebacks_minor, {reversal} AS reversals_minor,
  coalesce(sum(fee_minor) FILTER (is_new AND side = 'platform'), 0) AS fees_minor,
  coalesce(sum(amount_minor - fee_minor) FILTER (is_new AND side = 'platform'), 0) AS net_minor,
  coalesce(sum(platform_minus_bank) FILTER (NOT is_new), 0) AS carried_in_minor,
  coalesce(sum(amount_minor - fee_minor) FILTER (is_new AND side = 'bank'), 0) AS bank_net_minor,
  coalesce(sum(platform_minus_bank) FILTER (status = 'open'), 0) AS open_breaks_minor,
  coalesce(sum(platform_minus_bank) FILTER (status = 'closed'), 0) AS written_off_minor
FROM (
  SELECT rows.*, status, item_date = DATE '{day}' AS is_new,
    CASE side WHEN 'platform' THEN rows.amount_minor - rows.fee_minor ELSE rows.fee_minor - rows.amount_minor END
      AS platform_minus_bank
  FROM rows LEFT JOIN breaks USING (break_id)
)
GROUP BY ALL ORDER BY merchant_id, processor, currency
"""

_REVENUE = """
SELECT DATE '{day}' AS business_date, coalesce(merchant_segment, '') AS merchant_segment,
  coalesce(merchant_country, '') AS merchant_country, currency, count(*) AS payments,
  {gross} AS gross_minor, coalesce(sum(-amount_minor) FILTER (kind <> 'sale'), 0) AS deductions_minor,
  sum(fee_minor) AS fees_minor, sum(amount_minor - fee_minor) AS net_minor,
  coalesce(sum(amount_minor - fee_minor) FILTER (NOT is_pending), 0) AS confirmed_minor,
  coalesce(sum(amount_minor - fee_minor) FILTER (is_pending), 0) AS pending_minor
FROM (
  SELECT *, true AS is_new, 'platform' AS side, transaction_id IN (
    SELECT item_id FROM rows JOIN breaks USING (break_id) WHERE side = 'platform' AND status = 'open'
  ) AS is_pending
  FROM payments
)
GROUP BY ALL ORDER BY merchant_segment, merchant_country, currency
"""

_TRIAL_BALANCE = """
SELECT DATE '{day}' AS business_date, account_id, coalesce(moved.currency, before.currency) AS currency,
  coalesce(before.closing_minor, 0) AS opening_minor, coalesce(moved.debits_minor, 0) AS debits_minor,
  coalesce(moved.credits_minor, 0) AS credits_minor,
  coalesce(before.closing_minor, 0) + coalesce(moved.debits_minor, 0) - coalesce(moved.credits_minor, 0)
    AS closing_minor
FROM (
  SELECT account_id, currency, sum(debit_minor) AS debits_minor, sum(credit_minor) AS credits_minor
  FROM postings GROUP BY account_id, currency
) AS moved
FULL JOIN before USING (account_id)
ORDER BY account_id
"""


def _sum_of(kind: str, sign: str) -> str:
    return f"coalesce(sum({sign}amount_minor) FILTER (is_new AND side = 'platform' AND kind = '{kind}'), 0)"


_SUMS = {"gross": _sum_of("sale", "")} | {kind: _sum_of(kind, "-") for kind in ("refund", "chargeback", "reversal")}


def audited_tables(
    day: date, reconciliation: Reconciliation, payments: pa.Table, postings: pa.Table, balances_before: pa.Table
) -> dict[str, pa.Table]:
    """The tables of a day by name, as `DAY_TABLES` declares them.

    Args:
        day: the business day.
        reconciliation: where everything ended.
        payments: the platform's, as `PLATFORM_PAYMENTS`.
        postings: the bank's, as `LEDGER_POSTINGS`.
        balances_before: the trial balance of the day before, as `AUDITED_TRIAL_BALANCE`.
    """
    given: Mapping[str, pa.Table] = {
        "rows": reconciliation.rows,
        "breaks": reconciliation.breaks.select(["break_id", "status"]),
        "payments": payments,
        "postings": postings,
        "before": balances_before,
    }
    made = {
        AUDITED_DAILY_SETTLEMENT: _SETTLEMENT.format(day=day, **_SUMS),
        AUDITED_DAILY_REVENUE: _REVENUE.format(day=day, **_SUMS),
        AUDITED_TRIAL_BALANCE: _TRIAL_BALANCE.format(day=day),
    }
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, table in given.items():
            connection.register(name, table)
        tables = {
            schema.name: conformed(connection.execute(query).to_arrow_table(), schema) for schema, query in made.items()
        }
    return tables | {AUDITED_DAILY_BREAKS.name: reconciliation.breaks}


def totals(settlement: pa.Table, breaks: pa.Table) -> dict[str, dict[str, int]]:
    """Per currency, the sums of the settlement table's figures, in minor units, and how many breaks are open."""
    figures = [name for name in settlement.column_names if name == "payments" or name.endswith("_minor")]
    summed = settlement.group_by("currency").aggregate([(name, "sum") for name in figures])
    still_open = Counter(row["currency"] for row in breaks.to_pylist() if row["status"] == "open")
    return {
        row["currency"]: {name: row[f"{name}_sum"] for name in figures} | {"open_breaks": still_open[row["currency"]]}
        for row in sorted(summed.to_pylist(), key=lambda row: row["currency"])
    }

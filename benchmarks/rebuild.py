"""Silver and gold built from the whole of bronze, against one hand-written DuckDB script that makes the same."""

import duckdb

from benchmarks.long_history import copied, history
from benchmarks.results import Judged, Limit, Result
from benchmarks.scale import Scale
from benchmarks.scratch import scratch_folder
from benchmarks.timing import timed
from expectations import delta
from expectations.catalog import Lake
from expectations.currencies import minor_unit_exponents
from expectations.payments import PAYMENT
from expectations.tables import PAYMENTS_RAW_BRONZE
from orchestration.medallion.dbt_runner import WarmDbt, warehouse_alone

_DIMENSIONS = (
    "merchant_country",
    "payment_solution",
    "card_network",
    "merchant_segment",
    "risk_tier",
    "decline_reason",
    "amount_bucket",
    "three_ds_outcome",
)


def run(scale: Scale) -> list[Result]:
    """Both from the same bronze, in files of their own, one after the other."""
    with scratch_folder("rebuild") as folder:
        lake = copied(history(scale.silver_rows), folder)
        ours, held = timed(lambda: _ours(lake))
        by_script, made = timed(lambda: _script(lake))
    if held != made:
        raise ValueError(f"silver holds {held:,} rows, the script's {made:,}")
    return [
        Result(
            what=f"full rebuild from {scale.silver_rows:,} rows: silver, quarantine, duplicates, rollups, gold, ledger",
            unit="s",
            ours=ours,
            baseline=by_script,
            baseline_name="one DuckDB script: silver, and every view as a table straight from it",
            limit=Limit(Judged.COST, required=2, aim=1.2),
        )
    ]


def _ours(lake: Lake) -> int:
    dbt = WarmDbt(lake)
    with warehouse_alone(lake):
        dbt.run(["currencies"], command="seed")
        dbt.run(["path:models"], full_refresh=True)
    with duckdb.connect(str(lake.warehouse), read_only=True) as connection:
        return connection.execute("SELECT count(*) FROM silver.payments_enriched_silver").fetchone()[0]


def _script(lake: Lake) -> int:
    """No increments, no ledger, no tests: a window for duplicates, a join for retries, one aggregate per view."""
    with duckdb.connect(str(lake.root / "script.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        delta.let_read(connection)
        for statement in _statements(lake):
            connection.execute(statement)
        return connection.execute("SELECT count(*) FROM silver").fetchone()[0]


def _statements(lake: Lake) -> list[str]:
    decimals = ", ".join(f"('{currency}', {number})" for currency, number in minor_unit_exponents().items())
    bronze = f"delta_scan({delta.sql_text(str(lake.table(PAYMENTS_RAW_BRONZE.name)))})"
    columns = ", ".join(f"p.{name}" for name in PAYMENT.columns)
    is_valid = "amount_minor > 0 AND event_timestamp <= _ingested_at + INTERVAL 300 SECOND"
    performance = (
        "count(*) AS events, count(*) FILTER (a) AS authorisations, count(*) FILTER (a AND is_approved) AS approvals, "
        "count(*) FILTER (a AND NOT is_approved) AS declines, sum(amount_minor) FILTER (a) AS amount_minor, "
        "sum(amount_minor) FILTER (a AND is_approved) AS approved_minor, "
        "sum(amount_minor) FILTER (a AND NOT is_approved) AS declined_minor, sum(fee_minor) AS fee_minor, "
        "count(*) FILTER (a AND is_retry) AS retries, count(*) FILTER (a AND is_retry AND is_approved) AS recovered, "
        "count(*) FILTER (a AND is_cross_border) AS cross_border, avg(fraud_score) AS fraud_score, "
        "count(*) FILTER (risk_tier = 'HIGH') AS high_risk, "
        "count(*) FILTER (event_type = 'refund') AS refunds, count(*) FILTER (event_type = 'chargeback') AS chargebacks"
    )
    facts = "(SELECT *, event_type = 'authorisation' AS a FROM silver)"
    views = [f"CREATE TABLE by_hour AS SELECT event_hour, currency, {performance} FROM {facts} GROUP BY ALL"]
    views += [
        f"CREATE TABLE by_{name} AS SELECT event_hour, {name}, currency, {performance} FROM {facts} GROUP BY ALL"
        for name in _DIMENSIONS
    ]
    views += [
        "CREATE TABLE retries AS SELECT event_hour, retry_reason, attempt, retry_delay_s // 600 AS delay, currency, "
        "count(*) AS attempts, count(*) FILTER (is_approved) AS approvals, sum(amount_minor) AS amount_minor "
        "FROM silver WHERE is_retry GROUP BY ALL",
        "CREATE TABLE latencies AS SELECT event_hour, quantile_cont(latency_ms, [0.5, 0.95, 0.99]) AS latency_ms, "
        "quantile_cont(epoch_ms(_ingested_at) - epoch_ms(event_timestamp), [0.5, 0.95]) AS lag_ms "
        "FROM silver GROUP BY ALL",
    ]
    return [
        f"CREATE TABLE currencies AS SELECT * FROM (VALUES {decimals}) AS c (currency, decimals)",
        f"CREATE VIEW bronze AS SELECT * FROM {bronze}",
        f"CREATE TABLE quarantine AS SELECT * FROM bronze WHERE NOT ({is_valid})",
        f"""
        CREATE TABLE silver AS
        WITH p AS NOT MATERIALIZED (
          SELECT * FROM bronze SEMI JOIN (
            SELECT min(_row_number) AS _row_number FROM bronze WHERE {is_valid} GROUP BY transaction_id
          ) USING (_row_number)
        )
        SELECT {columns},
          CASE WHEN p.fraud_score IS NULL THEN 'UNKNOWN' WHEN p.fraud_score > 0.75 THEN 'HIGH'
            WHEN p.fraud_score > 0.35 THEN 'MEDIUM' ELSE 'LOW' END AS risk_tier,
          CASE WHEN p.amount_minor < 50 * 10 ** decimals THEN 'micro' WHEN p.amount_minor < 200 * 10 ** decimals
            THEN 'small' WHEN p.amount_minor < 500 * 10 ** decimals THEN 'medium' ELSE 'large' END AS amount_bucket,
          p.issuer_country <> p.merchant_country AS is_cross_border,
          0.5 * p.fraud_score + 0.3 * p.aml_score + 0.2 * (1 - p.device_trust_score) AS composite_risk_score,
          date_trunc('hour', p.event_timestamp) AS event_hour, p.event_timestamp::date AS event_date,
          p.event_timestamp::date AS business_date, o.decline_reason AS retry_reason,
          date_diff('second', o.event_timestamp, p.event_timestamp) AS retry_delay_s, p._ingested_at, p._row_number
        FROM p JOIN currencies USING (currency)
        LEFT JOIN (
          SELECT transaction_id, event_timestamp, decline_reason FROM bronze
          WHERE transaction_id IN (SELECT retry_of FROM bronze WHERE retry_of IS NOT NULL)
        ) AS o ON o.transaction_id = p.retry_of
        """,
        *views,
    ]

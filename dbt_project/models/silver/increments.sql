{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail') }}
{%- set start = increment_start() %}

-- The ledger: what each increment took from bronze, and what became of it, counted anew on both sides.
-- It is written last, from tables that are complete by then, and says where the next increment begins.
-- depends_on: {{ ref('payments_seen') }} {{ ref('payments_hourly') }} {{ ref('retries_hourly') }} {{ ref('histograms_hourly') }}
with span as (
  select max(_row_number) + 1 as upto_row from {{ ref('payments_verdicts') }}
),

landed as (
  select currency, count(*) as landed_rows, sum(amount_minor)::hugeint as minor, max(_ingested_at) as newest_ingested_at
  from {{ source('bronze', 'payments_raw_bronze') }}
  where _row_number >= {{ start }} and _row_number < (select upto_row from span)
  group by currency
),

accepted as (
  select
    currency,
    count(*) as accepted_rows,
    sum(amount_minor)::hugeint as minor,
    max(event_timestamp) as newest_event_at,
    count(*) filter (
      event_hour < {% if has_earlier() -%}
      (select date_trunc('hour', max(newest_event_at)) from {{ earlier('increments') }} where upto_row <= {{ start }})
      {%- else -%} null {%- endif %}
    ) as late_rows
  from {{ ref('payments_enriched_silver') }}
  where _row_number >= {{ start }}
  group by currency
),

quarantined as (
  select currency, count(*) as quarantined_rows, sum(amount_minor)::hugeint as minor
  from {{ ref('payments_quarantine') }}
  where _row_number >= {{ start }}
  group by currency
),

duplicates as (
  select currency, count(*) as duplicate_rows, sum(amount_minor)::hugeint as minor
  from {{ ref('payments_duplicates') }}
  where _row_number >= {{ start }}
  group by currency
)

select
  {{ start }}::bigint as from_row,
  span.upto_row::bigint as upto_row,
  landed.currency,
  landed.landed_rows as bronze_rows,
  coalesce(accepted.accepted_rows, 0) as silver_rows,
  coalesce(quarantined.quarantined_rows, 0) as quarantined_rows,
  coalesce(duplicates.duplicate_rows, 0) as duplicate_rows,
  coalesce(accepted.late_rows, 0) as late_rows,
  landed.minor as bronze_minor,
  coalesce(accepted.minor, 0)::hugeint as silver_minor,
  coalesce(quarantined.minor, 0)::hugeint as quarantined_minor,
  coalesce(duplicates.minor, 0)::hugeint as duplicate_minor,
  accepted.newest_event_at,
  landed.newest_ingested_at
from landed
cross join span
left join accepted using (currency)
left join quarantined using (currency)
left join duplicates using (currency)

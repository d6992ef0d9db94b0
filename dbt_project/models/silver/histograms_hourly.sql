{{
  config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    pre_hook='{{ forget_day() }}',
    unique_key=['event_hour', 'measure', 'bucket'],
  )
}}

-- How long answers took, and how long events took to arrive, per hour, as histograms: these add up, percentiles do not.
with payments as (
  select event_hour, latency_ms, event_timestamp, _ingested_at, _row_number
  from {{ ref('payments_enriched_silver') }}
  where {{ rows_to_roll_up() }}
),

measured as (
  select event_hour, 'latency_ms' as measure, latency_ms::bigint as observed, _row_number from payments
  union all
  select event_hour, 'ingest_lag_ms', greatest(0, epoch_ms(_ingested_at) - epoch_ms(event_timestamp)), _row_number
  from payments
),

fresh as (
  select
    event_hour,
    measure,
    {{ histogram_bucket('observed') }} as bucket,
    count(*) as observations,
    {{ position_with_these_rows() }} as covered_upto
  from measured
  where observed is not null
  group by all
)

{{ fold('fresh', ['event_hour', 'measure', 'bucket'], ['observations']) }}

{{
  config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    pre_hook='{{ forget_day() }}',
    unique_key=['event_hour', 'retry_reason', 'attempt', 'delay_bucket', 'currency'],
  )
}}
{%- set keys = ['event_hour', 'retry_reason', 'attempt', 'delay_bucket', 'currency'] %}

-- Retries per hour, by why the payment was declined before, which attempt it is, and how long it waited.
with fresh as (
  select
    event_hour,
    coalesce(retry_reason, '(unknown)') as retry_reason,
    coalesce(attempt, 0)::smallint as attempt,
    case
      when retry_delay_s is null then '(unknown)'
      when retry_delay_s < 60 then 'under_1m'
      when retry_delay_s < 600 then '1m_to_10m'
      when retry_delay_s < 3600 then '10m_to_1h'
      when retry_delay_s < 86400 then '1h_to_1d'
      else 'over_1d'
    end as delay_bucket,
    currency,
    count(*) as attempts,
    count(*) filter (is_approved) as approvals,
    sum(amount_minor)::bigint as amount_minor,
    coalesce(sum(amount_minor) filter (is_approved), 0)::bigint as approved_minor,
    {{ position_with_these_rows() }} as covered_upto
  from {{ ref('payments_enriched_silver') }}
  where {{ rows_to_roll_up() }} and event_type = 'authorisation' and is_retry
  group by all
)

{{ fold('fresh', keys, ['attempts', 'approvals', 'amount_minor', 'approved_minor']) }}

{{
  config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook='{{ derive_day_again() }}',
  )
}}
{%- set start = increment_start() %}
-- depends_on: {{ ref('payments_seen') }}

-- Accepted payments, enriched. Rows are only ever appended, in the order of arrival.
with payments as not materialized (
  select * from {{ source('bronze', 'payments_raw_bronze') }}
  semi join (
    select _row_number from {{ ref('payments_verdicts') }}
    where outcome = 'accepted' and _row_number >= {{ next_row(this) }}
  ) using (_row_number)
  where _row_number >= {{ start }}
),

-- What a retry retries must have arrived before it, so that increments of any size find the same.
retries as (
  select _row_number, retry_of, {{ transaction_hash('retry_of') }} as transaction_hash from payments where retry_of is not null
),

originals as (
  select transaction_id, _row_number, decline_reason, event_timestamp from payments
  where transaction_id in (select retry_of from retries)
  {%- if is_incremental() %}
  union all
  select transaction_id, _row_number, decline_reason, event_timestamp from {{ this }}
  where _row_number in (
    select _row_number from {{ ref('payments_seen') }}
    semi join retries using (transaction_hash)
    where _row_number < {{ next_row(this) }}
  )
  {%- endif %}
),

retried as (
  select retries._row_number, originals.decline_reason as retry_reason, originals.event_timestamp as retried_at
  from retries
  join originals on originals.transaction_id = retries.retry_of and originals._row_number < retries._row_number
)

select
  payments.transaction_id,
  payments.event_type,
  payments.original_transaction_id,
  payments.settlement_batch_id,
  payments.event_timestamp,
  payments.customer_id,
  payments.gender,
  payments.age_band,
  payments.merchant_id,
  payments.merchant_name,
  payments.merchant_segment,
  payments.mcc,
  payments.merchant_country,
  payments.merchant_region,
  payments.merchant_postal_code,
  payments.amount_minor,
  payments.fee_minor,
  payments.currency,
  payments.weight,
  payments.card_token,
  payments.card_bin6,
  payments.card_last4,
  payments.card_network,
  payments.issuer_country,
  payments.payment_solution,
  payments.processor,
  payments.entry_mode,
  payments.uses_3ds,
  payments.three_ds_outcome,
  payments.device_id,
  payments.device_trust_score,
  payments.ip_country,
  payments.lat,
  payments.lon,
  payments.city,
  payments.fraud_score,
  payments.aml_score,
  payments.is_approved,
  payments.decline_reason,
  payments.is_retry,
  payments.retry_of,
  payments.attempt,
  payments.latency_ms,
  {{ risk_tier('payments.fraud_score') }} as risk_tier,
  {{ amount_bucket('payments.amount_minor', 'currencies.decimals') }} as amount_bucket,
  {{ is_cross_border('payments.issuer_country', 'payments.merchant_country') }} as is_cross_border,
  {{ composite_risk_score('payments.fraud_score', 'payments.aml_score', 'payments.device_trust_score') }} as composite_risk_score,
  {{ event_hour('payments.event_timestamp') }} as event_hour,
  {{ event_date('payments.event_timestamp') }} as event_date,
  {{ business_date('payments.event_timestamp') }} as business_date,
  retried.retry_reason,
  (epoch_ms(payments.event_timestamp) - epoch_ms(retried.retried_at)) // 1000 as retry_delay_s,
  payments._ingested_at,
  payments._row_number
from payments
join {{ ref('currencies') }} as currencies using (currency)
left join retried on retried._row_number = payments._row_number
{%- if is_incremental() %}
order by payments._row_number
{%- endif %}

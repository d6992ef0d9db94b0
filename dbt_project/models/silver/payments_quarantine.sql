{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail') }}
{%- set start = increment_start() %}

-- Rows that break a rule of silver, with the codes of all the rules that they break.
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
  {{ reasons('verdicts.broken_rules') }} as reasons,
  payments._ingested_at,
  payments._row_number
from {{ source('bronze', 'payments_raw_bronze') }} as payments
join {{ ref('payments_verdicts') }} as verdicts using (_row_number)
where
  payments._row_number >= {{ start }}
  and verdicts.outcome = 'quarantined'
  and verdicts._row_number >= {{ next_row(this) }}
order by payments._row_number

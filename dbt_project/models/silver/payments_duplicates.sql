{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail') }}
{%- set start = increment_start() %}

-- Rows whose payment arrived before, and whether they say the same of it.
with repeated as (
  select _row_number, first_row_number from {{ ref('payments_verdicts') }}
  where outcome = 'duplicate' and _row_number >= {{ next_row(this) }}
),

-- A payment's first row may have arrived long ago, but is in silver by now, as it came.
firsts as (
  select _row_number as first_row_number, {{ payload_hash() }} as payload
  from {{ ref('payments_enriched_silver') }}
  where _row_number in (select first_row_number from repeated)
)

select
  payments.transaction_id,
  payments._row_number,
  repeated.first_row_number,
  {{ payload_hash('payments') }} = firsts.payload as is_same_content,
  payments.amount_minor,
  payments.currency,
  payments._ingested_at
from {{ source('bronze', 'payments_raw_bronze') }} as payments
join repeated using (_row_number)
join firsts using (first_row_number)
where payments._row_number >= {{ start }}
order by payments._row_number

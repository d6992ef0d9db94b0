{{ config(materialized='table') }}
{%- set start = increment_start() %}

-- What becomes of each row that landed since the last complete increment: accepted, quarantined or a duplicate.
-- A payment's first valid row is accepted, later ones are its duplicates. Hashes find the few rows that may be
-- repeated; identifiers decide.
with arrived as (
  select
    _row_number,
    transaction_id,
    {{ transaction_hash('transaction_id') }} as transaction_hash,
    {{ broken_rules() }} as broken_rules
  from {{ source('bronze', 'payments_raw_bronze') }}
  left join {{ ref('currencies') }} using (currency)
  where _row_number >= {{ start }}
),

valid as (
  select _row_number, transaction_id, transaction_hash from arrived where broken_rules = 0
),

repeated as (
  select transaction_hash from valid group by transaction_hash having count(*) > 1
  {%- if has_earlier() %}
  union
  select transaction_hash from valid semi join {{ earlier('payments_seen') }} using (transaction_hash)
  {%- endif %}
),

candidates as (
  select transaction_id, _row_number from valid semi join repeated using (transaction_hash)
  {%- if has_earlier() %}
  union all
  select transaction_id, _row_number from {{ earlier('payments_enriched_silver') }}
  where _row_number in (
    select _row_number from {{ earlier('payments_seen') }}
    semi join repeated using (transaction_hash)
    where _row_number < {{ start }}
  )
  {%- endif %}
),

firsts as (
  select transaction_id, min(_row_number) as first_row_number from candidates group by transaction_id having count(*) > 1
),

duplicates as (
  select _row_number, first_row_number from candidates join firsts using (transaction_id)
  where _row_number > first_row_number
)

select
  arrived._row_number,
  arrived.transaction_hash,
  arrived.broken_rules,
  duplicates.first_row_number,
  case
    when arrived.broken_rules > 0 then 'quarantined'
    when duplicates.first_row_number is not null then 'duplicate'
    else 'accepted'
  end as outcome
from arrived
left join duplicates using (_row_number)

{{
  config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    pre_hook='{{ forget_day() }}',
    unique_key=['event_hour', 'dimension', 'member', 'currency'],
  )
}}
{%- set dimensions = [
  'merchant_country', 'payment_solution', 'card_network', 'merchant_segment', 'risk_tier', 'decline_reason',
  'amount_bucket', 'three_ds',
] %}
{%- set measures = {
  'events': 'count(*)',
  'authorisations': 'count(*) filter (is_authorisation)',
  'approvals': 'count(*) filter (is_authorisation and is_approved)',
  'declines': 'count(*) filter (is_authorisation and not is_approved)',
  'undecided': 'count(*) filter (is_authorisation and is_approved is null)',
  'amount_minor': 'sum(amount_minor) filter (is_authorisation)',
  'approved_minor': 'sum(amount_minor) filter (is_authorisation and is_approved)',
  'declined_minor': 'sum(amount_minor) filter (is_authorisation and not is_approved)',
  'fee_minor': 'sum(fee_minor) filter (is_approved or not is_authorisation)',
  'captures': "count(*) filter (event_type = 'capture')",
  'captured_minor': "sum(amount_minor) filter (event_type = 'capture')",
  'refunds': "count(*) filter (event_type = 'refund')",
  'refunded_minor': "sum(amount_minor) filter (event_type = 'refund')",
  'reversals': "count(*) filter (event_type = 'reversal')",
  'reversed_minor': "sum(amount_minor) filter (event_type = 'reversal')",
  'chargebacks': "count(*) filter (event_type = 'chargeback')",
  'charged_back_minor': "sum(amount_minor) filter (event_type = 'chargeback')",
  'retries': 'count(*) filter (is_authorisation and is_retry)',
  'recovered': 'count(*) filter (is_authorisation and is_retry and is_approved)',
  'recovered_minor': 'sum(amount_minor) filter (is_authorisation and is_retry and is_approved)',
  'cross_border': 'count(*) filter (is_authorisation and is_cross_border)',
  'fraud_scored': 'count(fraud_score)',
  'fraud_score_micro': 'sum(round(fraud_score * 1000000)::bigint)',
  'high_risk': "count(*) filter (risk_tier = 'HIGH')",
} %}
{%- set keys = ['event_hour', 'dimension', 'member', 'currency'] %}

-- Additive measures per hour, currency and member of each dimension: what the gold views are made of.
with payments as (
  select
    *,
    event_type = 'authorisation' as is_authorisation,
    case when not uses_3ds then 'not_requested' else three_ds_outcome end as three_ds
  from {{ ref('payments_enriched_silver') }}
  where {{ rows_to_roll_up() }}
),

fresh as (
  select
    event_hour,
    case grouping_id({{ dimensions | join(', ') }})
      {%- for dimension in dimensions %}
      when {{ 2 ** dimensions | length - 1 - 2 ** (dimensions | length - 1 - loop.index0) }} then '{{ dimension }}'
      {%- endfor %}
      else 'all'
    end as dimension,
    case grouping_id({{ dimensions | join(', ') }})
      {%- for dimension in dimensions %}
      when {{ 2 ** dimensions | length - 1 - 2 ** (dimensions | length - 1 - loop.index0) }}
        then coalesce({{ dimension }}, '(none)')
      {%- endfor %}
      else 'all'
    end as member,
    currency,
    {%- for name, expression in measures.items() %}
    coalesce({{ expression }}, 0)::bigint as {{ name }},
    {%- endfor %}
    {{ position_with_these_rows() }} as covered_upto
  from payments
  group by grouping sets (
    (event_hour, currency)
    {%- for dimension in dimensions %}, (event_hour, currency, {{ dimension }}){% endfor %}
  )
)

{{ fold('fresh', keys, measures.keys() | list) }}

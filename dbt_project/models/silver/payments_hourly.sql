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
{#- What each payment adds to a measure, and when; else it adds 0. Plain sums of these are three times as quick as
    filtered aggregates. -#}
{%- set measures = {
  'events': (1, 'true'),
  'authorisations': (1, 'is_authorisation'),
  'approvals': (1, 'is_authorisation and is_approved'),
  'declines': (1, 'is_authorisation and not is_approved'),
  'undecided': (1, 'is_authorisation and is_approved is null'),
  'amount_minor': ('amount_minor', 'is_authorisation'),
  'approved_minor': ('amount_minor', 'is_authorisation and is_approved'),
  'declined_minor': ('amount_minor', 'is_authorisation and not is_approved'),
  'fee_minor': ('fee_minor', 'fee_minor is not null and (is_approved or not is_authorisation)'),
  'captures': (1, "event_type = 'capture'"),
  'captured_minor': ('amount_minor', "event_type = 'capture'"),
  'refunds': (1, "event_type = 'refund' and is_approved is not false"),
  'refunded_minor': ('amount_minor', "event_type = 'refund' and is_approved is not false"),
  'reversals': (1, "event_type = 'reversal'"),
  'reversed_minor': ('amount_minor', "event_type = 'reversal'"),
  'chargebacks': (1, "event_type = 'chargeback'"),
  'charged_back_minor': ('amount_minor', "event_type = 'chargeback'"),
  'retries': (1, 'is_authorisation and is_retry'),
  'recovered': (1, 'is_authorisation and is_retry and is_approved'),
  'recovered_minor': ('amount_minor', 'is_authorisation and is_retry and is_approved'),
  'cross_border': (1, 'is_authorisation and is_cross_border'),
  'fraud_scored': (1, 'fraud_score is not null'),
  'fraud_score_micro': ('round(fraud_score * 1000000)::bigint', 'fraud_score is not null'),
  'high_risk': (1, "risk_tier = 'HIGH'"),
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

contributions as (
  select
    event_hour,
    currency,
    {{ dimensions | join(', ') }},
    {%- for name, (adds, condition) in measures.items() %}
    (case when {{ condition }} then {{ adds }} else 0 end)::{{ 'integer' if adds == 1 else 'bigint' }} as {{ name }},
    {%- endfor %}
    _row_number
  from payments
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
    {%- for name in measures %}
    sum({{ name }})::bigint as {{ name }},
    {%- endfor %}
    {{ position_with_these_rows() }} as covered_upto
  from contributions
  group by grouping sets (
    (event_hour, currency)
    {%- for dimension in dimensions %}, (event_hour, currency, {{ dimension }}){% endfor %}
  )
)

{{ fold('fresh', keys, measures.keys() | list) }}

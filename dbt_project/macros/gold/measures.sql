{# A part of a whole, from 0 to 1; null where there is no whole. #}
{% macro rate(part, whole) -%}
  ({{ part }})::double / nullif({{ whole }}, 0)
{%- endmacro %}

{# Hours of the last so many days: those that began after this time before now, up to now. #}
{% macro within_days(days, column='event_hour') -%}
  {{ column }} > (select as_of - interval {{ days }} day from {{ ref('as_of') }})
  and {{ column }} <= (select as_of from {{ ref('as_of') }})
{%- endmacro %}

{# Sums by some keys, per currency and over all of them. Amounts of several currencies do not add up: the row ALL has none. #}
{% macro by_currency(source, keys, counts, money) -%}
  select
    {%- for key in keys %}
    source.{{ key }},
    {%- endfor %}
    coalesce(source.currency, 'ALL') as currency,
    {%- for name in counts %}
    sum({{ name }})::bigint as {{ name }},
    {%- endfor %}
    {%- for name in money %}
    case when grouping(source.currency) = 0 then sum({{ name }})::bigint end as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
  from {{ source }} as source
  group by grouping sets (
    ({% for key in keys %}source.{{ key }}, {% endfor %}source.currency),
    ({% for key in keys %}source.{{ key }}{{ ', ' if not loop.last }}{% endfor %})
  )
{%- endmacro %}

{# The standard figures of the last 30 days, by the members of a dimension. Views that show them differ in nothing else. #}
{% macro performance_by(dimension, member) -%}
  with hours as (
    select * from {{ ref('payments_hourly') }}
    where dimension = '{{ dimension }}' and {{ within_days(30) }}
  ),

  summed as (
    {{ by_currency(
      'hours',
      ['member'],
      ['events', 'authorisations', 'approvals', 'declines', 'undecided', 'cross_border', 'chargebacks', 'fraud_scored',
       'fraud_score_micro', 'high_risk'],
      ['amount_minor', 'approved_minor', 'declined_minor', 'fee_minor'],
    ) }}
  )

  select
    member as {{ member }},
    currency,
    events,
    authorisations,
    {{ rate('authorisations', 'sum(authorisations) over (partition by currency)') }} as authorisation_share,
    approvals,
    declines,
    undecided,
    {{ rate('approvals', 'approvals + declines') }} as approval_rate,
    {{ rate('cross_border', 'authorisations') }} as cross_border_share,
    amount_minor,
    approved_minor,
    declined_minor,
    fee_minor,
    chargebacks,
    {{ rate('fraud_score_micro', 'fraud_scored') }} / 1000000 as average_fraud_score,
    {{ rate('high_risk', 'fraud_scored') }} as high_risk_share
  from summed
{%- endmacro %}

-- Every way to divide the last 30 days gives the same authorisations and the same money.
with whole as (
  select currency, authorisations, amount_minor from {{ ref('v_executive_kpis') }} where period = 'last_30_days'
),

parts as (
  {%- set views = [
    'v_performance_by_geography', 'v_solution_performance', 'v_card_network_performance',
    'v_merchant_segment_performance', 'v_risk_distribution',
  ] %}
  {%- for view in views %}
  select '{{ view }}' as divided_by, currency, sum(authorisations) as authorisations, sum(amount_minor) as amount_minor
  from {{ ref(view) }} group by currency
  {{ 'union all' if not loop.last }}
  {%- endfor %}
)

select *
from parts
full join whole using (currency)
where
  parts.authorisations is distinct from whole.authorisations
  or parts.amount_minor is distinct from whole.amount_minor

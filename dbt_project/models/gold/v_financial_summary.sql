{%- set lines = {
  'gross': ('authorisations', 'amount_minor'),
  'approved': ('approvals', 'approved_minor'),
  'declined': ('declines', '-declined_minor'),
  'fees': ('events', '-fee_minor'),
  'captured': ('captures', 'captured_minor'),
  'refunded': ('refunds', '-refunded_minor'),
  'reversed': ('reversals', '-reversed_minor'),
  'charged_back': ('chargebacks', '-charged_back_minor'),
  'recovered_by_retry': ('recovered', 'recovered_minor'),
} %}

with hours as (
  select * from {{ ref('payments_hourly') }} where {{ within_days(30) }}
),

lines as (
  {%- for line, (events, amount) in lines.items() %}
  select currency, '{{ line }}' as line_item, 'all' as detail, {{ events }} as events, {{ amount }} as amount_minor
  from hours where dimension = 'all'
  union all
  {%- endfor %}
  select currency, 'lost_by_decline_reason', member, declines, -declined_minor
  from hours where dimension = 'decline_reason' and declines > 0
)

select
  currency,
  line_item,
  detail,
  sum(events)::bigint as events,
  sum(amount_minor)::bigint as amount_minor
from lines
group by currency, line_item, detail

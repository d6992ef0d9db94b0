with now as (
  select date_trunc('hour', as_of) as hour from {{ ref('as_of') }}
),

periods as (
  select 'current_hour' as period, hour as event_hour from now
  union all
  select 'last_complete_hour', hour - interval 1 hour from now
  union all
  select 'hour_before', hour - interval 2 hour from now
  union all
  select 'same_hour_last_week', hour - interval 169 hour from now
),

hours as (
  select periods.period, payments.*
  from periods
  join {{ ref('payments_hourly') }} as payments using (event_hour)
  where payments.dimension = 'all'
),

summed as (
  {{ by_currency(
    'hours',
    ['period', 'event_hour'],
    ['events', 'authorisations', 'approvals', 'declines', 'undecided', 'retries', 'high_risk'],
    ['amount_minor', 'approved_minor'],
  ) }}
)

select
  period,
  currency,
  event_hour,
  events,
  authorisations,
  approvals,
  declines,
  undecided,
  {{ rate('approvals', 'approvals + declines') }} as approval_rate,
  retries,
  high_risk,
  amount_minor,
  approved_minor
from summed

with hours as (
  select 'last_30_days' as period, * from {{ ref('payments_hourly') }} where dimension = 'all' and {{ within_days(30) }}
  union all
  select 'today', * from {{ ref('payments_hourly') }}
  where
    dimension = 'all'
    and event_hour >= (select date_trunc('day', as_of) from {{ ref('as_of') }})
    and event_hour <= (select as_of from {{ ref('as_of') }})
),

summed as (
  {{ by_currency(
    'hours',
    ['period'],
    ['events', 'authorisations', 'approvals', 'declines', 'undecided'],
    ['amount_minor', 'approved_minor', 'fee_minor'],
  ) }}
)

select
  period,
  currency,
  events,
  authorisations,
  approvals,
  declines,
  undecided,
  {{ rate('approvals', 'approvals + declines') }} as approval_rate,
  amount_minor,
  approved_minor,
  fee_minor,
  (select as_of from {{ ref('as_of') }}) as as_of
from summed

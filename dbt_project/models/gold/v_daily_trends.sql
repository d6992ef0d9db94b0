with hours as (
  select event_hour::date as event_date, * exclude (event_hour)
  from {{ ref('payments_hourly') }}
  where
    dimension = 'all'
    and event_hour::date > (select as_of::date - 31 from {{ ref('as_of') }})
    and event_hour <= (select as_of from {{ ref('as_of') }})
),

days as (
  {{ by_currency(
    'hours',
    ['event_date'],
    ['authorisations', 'approvals', 'declines', 'undecided'],
    ['amount_minor', 'approved_minor'],
  ) }}
),

-- A day is compared with the day before it, not with the last one that had payments.
compared as (
  select
    today.*,
    yesterday.authorisations as previous_authorisations,
    {{ rate('today.approvals', 'today.approvals + today.declines') }} as approval_rate,
    {{ rate('yesterday.approvals', 'yesterday.approvals + yesterday.declines') }} as previous_approval_rate,
    yesterday.approved_minor as previous_approved_minor
  from days as today
  left join days as yesterday
    on today.currency = yesterday.currency and yesterday.event_date = today.event_date - 1
)

select
  event_date,
  currency,
  authorisations,
  approvals,
  declines,
  undecided,
  approval_rate,
  approval_rate - previous_approval_rate as approval_rate_change,
  authorisations - previous_authorisations as authorisations_change,
  amount_minor,
  approved_minor,
  approved_minor - previous_approved_minor as approved_minor_change
from compared
where event_date > (select as_of::date - 30 from {{ ref('as_of') }})

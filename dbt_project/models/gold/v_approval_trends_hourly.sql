with hours as (
  select
    event_hour,
    sum(authorisations)::bigint as authorisations,
    sum(approvals)::bigint as approvals,
    sum(declines)::bigint as declines,
    sum(undecided)::bigint as undecided
  from {{ ref('payments_hourly') }}
  where dimension = 'all' and {{ within_days(30) }}
  group by event_hour
)

select
  event_hour,
  authorisations,
  approvals,
  declines,
  undecided,
  {{ rate('approvals', 'approvals + declines') }} as approval_rate,
  {{ rate('sum(approvals) over day', 'sum(approvals + declines) over day') }} as day_approval_rate
from hours
window day as (order by event_hour range between interval 23 hour preceding and current row)

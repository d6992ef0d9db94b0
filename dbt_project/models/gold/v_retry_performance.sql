with hours as (
  select * from {{ ref('retries_hourly') }} where {{ within_days(30) }}
),

summed as (
  {{ by_currency(
    'hours',
    ['attempt', 'retry_reason', 'delay_bucket'],
    ['attempts', 'approvals'],
    ['amount_minor', 'approved_minor'],
  ) }}
)

select
  attempt,
  retry_reason,
  delay_bucket,
  currency,
  attempts,
  approvals,
  {{ rate('approvals', 'attempts') }} as success_rate,
  amount_minor,
  approved_minor
from summed

with declined as (
  select member as decline_reason, currency, declines, declined_minor
  from {{ ref('payments_hourly') }}
  where dimension = 'decline_reason' and declines > 0 and {{ within_days(30) }}
),

retried as (
  select retry_reason as decline_reason, currency, attempts, approvals, approved_minor
  from {{ ref('retries_hourly') }}
  where {{ within_days(30) }}
),

reasons as (
  {{ by_currency('declined', ['decline_reason'], ['declines'], ['declined_minor']) }}
),

retries as (
  {{ by_currency('retried', ['decline_reason'], ['attempts', 'approvals'], ['approved_minor']) }}
)

select
  reasons.decline_reason,
  reasons.currency,
  rank() over (partition by reasons.currency order by reasons.declines desc, reasons.decline_reason) as position,
  reasons.declines,
  {{ rate('reasons.declines', 'sum(reasons.declines) over (partition by reasons.currency)') }} as decline_share,
  reasons.declined_minor,
  coalesce(retries.attempts, 0)::bigint as retries,
  coalesce(retries.approvals, 0)::bigint as recovered,
  retries.approved_minor as recovered_minor,
  {{ rate('retries.approvals', 'retries.attempts') }} as recovery_rate,
  round(reasons.declined_minor * {{ rate('retries.approvals', 'retries.attempts') }})::bigint as recovery_potential_minor
from reasons
left join retries using (decline_reason, currency)

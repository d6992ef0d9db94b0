with declined as (
  select member as decline_reason, currency, declines, declined_minor
  from {{ ref('payments_hourly') }}
  where dimension = 'decline_reason' and declines > 0 and {{ within_days(30) }}
),

retried as (
  select retry_reason as decline_reason, delay_bucket, currency, attempts, approvals, approved_minor
  from {{ ref('retries_hourly') }}
  where {{ within_days(30) }}
),

reasons as (
  {{ by_currency('declined', ['decline_reason'], ['declines'], ['declined_minor']) }}
),

delays as (
  {{ by_currency('retried', ['decline_reason', 'delay_bucket'], ['attempts', 'approvals'], ['approved_minor']) }}
),

best as (
  select decline_reason, currency, delay_bucket, {{ rate('approvals', 'attempts') }} as success_rate
  from delays
  where attempts >= {{ var('recovery_min_attempts') }}
  qualify row_number() over (
    partition by decline_reason, currency order by {{ rate('approvals', 'attempts') }} desc, attempts desc, delay_bucket
  ) = 1
),

totals as (
  select decline_reason, currency, sum(attempts)::bigint as retries from delays group by all
)

select
  reasons.decline_reason,
  reasons.currency,
  reasons.declines,
  coalesce(totals.retries, 0)::bigint as retries,
  greatest(reasons.declines - coalesce(totals.retries, 0), 0)::bigint as not_retried,
  reasons.declined_minor,
  best.delay_bucket as best_delay,
  best.success_rate as best_delay_success_rate,
  round(greatest(reasons.declines - coalesce(totals.retries, 0), 0) * best.success_rate)::bigint as expected_recoveries
from reasons
left join totals using (decline_reason, currency)
left join best using (decline_reason, currency)

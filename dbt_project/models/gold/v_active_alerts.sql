-- The last complete hour, against what is usual for it: the same hour of the week in the four weeks before or, where
-- there was nothing then, the same hour of the seven days before.
with observed as (
  select date_trunc('hour', as_of) - interval 1 hour as event_hour from {{ ref('as_of') }}
),

seasons as (
  select event_hour - back * interval 7 day as event_hour, 'weekly' as season from observed, range(1, 5) as weeks(back)
  union all
  select event_hour - back * interval 1 day, 'daily' from observed, range(1, 8) as days(back)
),

known as (
  select seasons.* from seasons
  semi join (from {{ ref('payments_hourly') }} where dimension = 'all') using (event_hour)
),

compared as (
  select event_hour, true as is_observed from observed
  union all
  select event_hour, false from known
  where season = (select case when count(*) filter (season = 'weekly') > 0 then 'weekly' else 'daily' end from known)
),

hours as (
  select compared.is_observed, payments.*
  from compared
  join {{ ref('payments_hourly') }} as payments using (event_hour)
),

latencies as (
  select compared.is_observed, histograms.bucket, sum(histograms.observations) as observations
  from compared
  join {{ ref('histograms_hourly') }} as histograms using (event_hour)
  where histograms.measure = 'latency_ms'
  group by all
),

-- Every measure is a part of a whole, so that hours of different sizes can be compared.
measures as (
  select
    is_observed, 'approval_rate_drop' as alert_type, 'all' as subject,
    {{ rate('sum(approvals)', 'sum(approvals + declines)') }} as measure, sum(approvals + declines) as events
  from hours where dimension = 'all' group by is_observed
  union all
  select
    is_observed, 'decline_spike', member,
    {{ rate('sum(declines)', 'any_value(decided)') }}, sum(declines)
  from hours
  join (
    select is_observed, sum(approvals + declines) as decided from hours where dimension = 'all' group by is_observed
  ) using (is_observed)
  where dimension = 'decline_reason' and declines > 0
  group by is_observed, member
  union all
  select
    is_observed, 'fraud_spike', 'all',
    {{ rate('sum(fraud_score_micro)', 'sum(fraud_scored)') }} / 1000000, sum(fraud_scored)
  from hours where dimension = 'all' group by is_observed
  union all
  select percentile.is_observed, 'latency', 'p95', percentile.p95, counted.events
  from ({{ percentiles('latencies', ['is_observed'], [95]) }}) as percentile
  join (select is_observed, sum(observations) as events from latencies group by is_observed) as counted
    using (is_observed)
),

deviations as (
  select
    now.alert_type,
    now.subject,
    now.measure as observed,
    usual.measure as expected,
    now.events,
    case
      when now.alert_type = 'approval_rate_drop'
        then (usual.measure - now.measure) / {{ var('alert_approval_rate_drop') }}
      when now.alert_type = 'decline_spike'
        then (now.measure / usual.measure - 1) / {{ var('alert_decline_spike') }}
      when now.alert_type = 'fraud_spike' then (now.measure / usual.measure - 1) / {{ var('alert_fraud_spike') }}
      else (now.measure / usual.measure - 1) / {{ var('alert_latency') }}
    end as times_tolerance
  from measures as now
  join measures as usual on now.alert_type = usual.alert_type and now.subject = usual.subject
  where now.is_observed and not usual.is_observed and usual.measure > 0
)

select
  alert_type,
  subject,
  case when times_tolerance >= 2 then 'critical' else 'warning' end as severity,
  (select event_hour from observed) as event_hour,
  observed,
  expected,
  times_tolerance,
  events::bigint as events
from deviations
where times_tolerance >= 1 and events >= {{ var('alert_min_events') }}

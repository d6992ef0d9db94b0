with hours as (
  select event_hour, sum(events)::bigint as events
  from {{ ref('payments_hourly') }}
  where dimension = 'all' and {{ within_days(2) }}
  group by event_hour
),

histograms as (
  select * from {{ ref('histograms_hourly') }} where {{ within_days(2) }}
),

latencies as (
  {{ percentiles("(from histograms where measure = 'latency_ms')", ['event_hour'], [50, 95, 99]) }}
),

lags as (
  {{ percentiles("(from histograms where measure = 'ingest_lag_ms')", ['event_hour'], [50, 95]) }}
)

select
  hours.event_hour,
  hours.events,
  -- The current hour has not lasted an hour yet.
  hours.events / greatest(1, least(3600, epoch((select as_of from {{ ref('as_of') }}) - hours.event_hour)))::double
    as events_per_second,
  latencies.p50::double as latency_p50_ms,
  latencies.p95::double as latency_p95_ms,
  latencies.p99::double as latency_p99_ms,
  lags.p50::double as ingest_lag_p50_ms,
  lags.p95::double as ingest_lag_p95_ms
from hours
left join latencies using (event_hour)
left join lags using (event_hour)

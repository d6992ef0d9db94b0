{{ config(materialized='table') }}

-- What "now" means to every gold view: the latest event in silver or, while the company is at work, the wall clock
-- that a live run gives to dbt. Only accepted payments count: one event of next year must not move the company there.
with covered as (
  select max(newest_event_at) as newest_event_at, coalesce(max(upto_row), 0)::bigint as bronze_rows
  from {{ ref('increments') }}
),

timed as (
  select
    *,
    {% if var('wall_clock', none) -%}
    '{{ var("wall_clock") }}'::timestamptz
    {%- else -%}
    null::timestamptz
    {%- endif %} as wall_clock
  from covered
)

select
  case when is_live then greatest(wall_clock, newest_event_at) else newest_event_at end as as_of,
  bronze_rows,
  is_live
from (
  select
    *,
    coalesce(newest_event_at >= wall_clock - interval {{ var('live_within_seconds') }} second, false) as is_live
  from timed
)

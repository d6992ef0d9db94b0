{{ config(materialized='table') }}

-- What "now" means to every gold view: the latest event in silver; live, the wall clock that dbt is given.
select
  {% if var('as_of', none) -%}
  '{{ var("as_of") }}'::timestamptz
  {%- else -%}
  max(newest_event_at)
  {%- endif %} as as_of,
  coalesce(max(upto_row), 0)::bigint as bronze_rows,
  {{ 'true' if var('as_of', none) else 'false' }} as is_live
from {{ ref('increments') }}

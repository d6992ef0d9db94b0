{{ config(materialized='incremental', incremental_strategy='append') }}

-- What was built anew: a day, or everything. Rows of silver have changed then, and not only come on top.
-- depends_on: {{ ref('payments_enriched_silver') }}
select
  {{ "null" if flags.FULL_REFRESH else "'" ~ var('rebuild_day', '1970-01-01') ~ "'" }}::date as rebuilt_day,
  '{{ invocation_id }}' as invocation
{%- if not rebuilds_day() and not flags.FULL_REFRESH %}
where false
{%- endif %}

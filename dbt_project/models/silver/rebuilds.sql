{{ config(materialized='incremental', incremental_strategy='append') }}

-- The days that were built anew. Rows of silver have changed with each of them, and not only come on top.
-- depends_on: {{ ref('payments_enriched_silver') }}
select '{{ var("rebuild_day", "1970-01-01") }}'::date as rebuilt_day, '{{ invocation_id }}' as invocation
{%- if not rebuilds_day() %}
where false
{%- endif %}

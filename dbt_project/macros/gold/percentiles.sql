{# The value that a bucket of a histogram stands for: the geometric middle of its bounds. #}
{% macro histogram_value(bucket) -%}
  case when {{ bucket }} = 0 then 0 else {{ var('histogram_base') }} ** ({{ bucket }} - 0.5) end
{%- endmacro %}

{# Percentiles of a histogram (columns: keys, bucket, observations), by its keys; within 2.5 % of the exact ones. #}
{% macro percentiles(histogram, keys, percents) -%}
  select
    {%- for key in keys %}
    {{ key }},
    {%- endfor %}
    {%- for percent in percents %}
    {{ histogram_value('min(bucket) filter (cumulated * 100 >= observed * ' ~ percent ~ ')') }} as p{{ percent }}
    {{- ',' if not loop.last }}
    {%- endfor %}
  from (
    select
      *,
      sum(observations) over (partition by {{ keys | join(', ') }} order by bucket) as cumulated,
      sum(observations) over (partition by {{ keys | join(', ') }}) as observed
    from {{ histogram }}
  )
  group by {{ keys | join(', ') }}
{%- endmacro %}

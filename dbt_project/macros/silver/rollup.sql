{# Which rows of silver a rollup takes in: those that it does not cover yet or, after a rule has changed, those of the
   day that is built anew. #}
{% macro rows_to_roll_up() -%}
  {%- if rebuilds_day() -%}
  event_date = '{{ var('rebuild_day') }}' and _row_number < {{ covered_upto(this) }}
  {%- else -%}
  _row_number >= {{ covered_upto(this) }}
  {%- endif -%}
{%- endmacro %}

{# Up to where silver is covered with these rows. A day that is built anew moves nothing. #}
{% macro position_with_these_rows() -%}
  {{ covered_upto(this) if rebuilds_day() else 'max(_row_number) + 1' }}
{%- endmacro %}

{% macro rebuilds_day() -%}
  {{ return(var('rebuild_day', none) is not none and is_incremental()) }}
{%- endmacro %}

{# Before a day is built anew: away with what the rollup holds of it. In the same transaction. #}
{% macro forget_day() -%}
  {%- if rebuilds_day() -%}
  delete from {{ this }} where event_hour >= '{{ var('rebuild_day') }}'::date and event_hour < '{{ var('rebuild_day') }}'::date + 1
  {%- endif -%}
{%- endmacro %}

{# Adds what is new to what a rollup holds of the same keys: a late row finds its hour, however old.
   The rows replace those of their keys in one transaction, together with the position up to which they cover silver,
   so that a killed run is repeated without counting anything twice. #}
{% macro fold(fresh, keys, measures) -%}
  select
    {{ keys | join(', ') }},
    {% for measure in measures -%}
    sum({{ measure }})::bigint as {{ measure }},
    {% endfor -%}
    max(covered_upto)::bigint as covered_upto
  from (
    select {{ (keys + measures) | join(', ') }}, covered_upto from {{ fresh }}
    {%- if is_incremental() and not rebuilds_day() %}
    union all by name
    select {{ (keys + measures) | join(', ') }}, covered_upto
    from {{ this }} semi join {{ fresh }} using ({{ keys | join(', ') }})
    {%- endif %}
  )
  group by {{ keys | join(', ') }}
{%- endmacro %}

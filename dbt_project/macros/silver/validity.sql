{# What a landed row must satisfy to enter silver: reason code and the condition that breaks it.
   Each is evaluated once per row, into one bit. #}
{% macro silver_rules() -%}
  {{ return([
    ('unknown_currency', 'decimals is null'),
    ('amount_not_positive', 'amount_minor <= 0'),
    ('event_in_future',
     "event_timestamp > _ingested_at + interval " ~ var('future_tolerance_seconds') ~ " second"),
  ]) }}
{%- endmacro %}

{% macro broken_rules() -%}
  (
    {%- for code, condition in silver_rules() %}
    case when {{ condition }} then {{ 2 ** loop.index0 }} else 0 end {{ '+' if not loop.last }}
    {%- endfor %}
  )::integer
{%- endmacro %}

{# The reason codes of a row, from its bits. #}
{% macro reasons(bits) -%}
  list_filter(
    [
      {%- for code, condition in silver_rules() %}
      case when {{ bits }} & {{ 2 ** loop.index0 }} > 0 then '{{ code }}' end {{ ',' if not loop.last }}
      {%- endfor %}
    ],
    lambda reason: reason is not null
  )
{%- endmacro %}

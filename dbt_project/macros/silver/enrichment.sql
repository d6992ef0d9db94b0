{# The enrichment rules, one macro each. Thresholds are variables; what a null gives is part of the rule. #}

{# HIGH, MEDIUM or LOW by the issuer's fraud score; UNKNOWN without one. #}
{% macro risk_tier(fraud_score) -%}
  case
    when {{ fraud_score }} is null then 'UNKNOWN'
    when {{ fraud_score }} > {{ var('risk_high_above') }} then 'HIGH'
    when {{ fraud_score }} > {{ var('risk_medium_above') }} then 'MEDIUM'
    else 'LOW'
  end
{%- endmacro %}

{# micro, small, medium or large, by the amount in whole units of the currency, whose decimals are given. #}
{% macro amount_bucket(amount_minor, decimals) -%}
  case
    when {{ amount_minor }} < {{ var('amount_small_from_major') }} * (10 ** {{ decimals }})::bigint then 'micro'
    when {{ amount_minor }} < {{ var('amount_medium_from_major') }} * (10 ** {{ decimals }})::bigint then 'small'
    when {{ amount_minor }} < {{ var('amount_large_from_major') }} * (10 ** {{ decimals }})::bigint then 'medium'
    when {{ amount_minor }} is not null then 'large'
  end
{%- endmacro %}

{# Whether the issuer's country is not the merchant's; null where one is unknown. #}
{% macro is_cross_border(issuer_country, merchant_country) -%}
  {{ issuer_country }} <> {{ merchant_country }}
{%- endmacro %}

{# 0.5 fraud + 0.3 money laundering + 0.2 distrust of the device, from 0 to 1; null where one of the three is unknown. #}
{% macro composite_risk_score(fraud_score, aml_score, device_trust_score) -%}
  {{ var('composite_fraud_weight') }} * {{ fraud_score }}
  + {{ var('composite_aml_weight') }} * {{ aml_score }}
  + {{ var('composite_device_weight') }} * (1 - {{ device_trust_score }})
{%- endmacro %}

{# The UTC hour, and the UTC day, in which an event happened. Connections are set to UTC. #}
{% macro event_hour(event_timestamp) -%} date_trunc('hour', {{ event_timestamp }}) {%- endmacro %}

{% macro event_date(event_timestamp) -%} ({{ event_timestamp }} at time zone 'UTC')::date {%- endmacro %}

{# The day in whose books an event is: local time in the business's zone, with days that begin at the cut-off hour. #}
{% macro business_date(event_timestamp) -%}
  ({{ event_timestamp }} at time zone '{{ var("business_time_zone") }}' - interval {{ var('business_cutoff_hour') }} hour)::date
{%- endmacro %}

{# After a rule has changed: the derived columns of one day, from what silver holds of it. What a source said stays. #}
{% macro derive_day_again() -%}
  {%- if rebuilds_day() -%}
  update {{ this }} as payments
  set
    risk_tier = {{ risk_tier('payments.fraud_score') }},
    amount_bucket = {{ amount_bucket('payments.amount_minor', 'currencies.decimals') }},
    is_cross_border = {{ is_cross_border('payments.issuer_country', 'payments.merchant_country') }},
    composite_risk_score = {{ composite_risk_score('payments.fraud_score', 'payments.aml_score', 'payments.device_trust_score') }},
    business_date = {{ business_date('payments.event_timestamp') }}
  from {{ ref('currencies') }} as currencies
  where payments.currency = currencies.currency and payments.event_date = '{{ var('rebuild_day') }}'
  {%- endif -%}
{%- endmacro %}

{# What a payment is recognised by: few enough digits that it can never look like a card number. Two payments may share
   it, so what is found by it is compared by identifier. #}
{% macro transaction_hash(identifier) -%}
  (hash({{ identifier }}) % 100000000000)::bigint
{%- endmacro %}

{# A hash over all that a source says of a payment. #}
{% macro payload_hash(relation=none) -%}
  {%- set prefix = relation ~ '.' if relation else '' -%}
  hash(
    {{ prefix }}transaction_id,
    {{ prefix }}event_type,
    {{ prefix }}original_transaction_id,
    {{ prefix }}settlement_batch_id,
    {{ prefix }}event_timestamp,
    {{ prefix }}customer_id,
    {{ prefix }}gender,
    {{ prefix }}age_band,
    {{ prefix }}merchant_id,
    {{ prefix }}merchant_name,
    {{ prefix }}merchant_segment,
    {{ prefix }}mcc,
    {{ prefix }}merchant_country,
    {{ prefix }}merchant_region,
    {{ prefix }}merchant_postal_code,
    {{ prefix }}amount_minor,
    {{ prefix }}fee_minor,
    {{ prefix }}currency,
    {{ prefix }}weight,
    {{ prefix }}card_token,
    {{ prefix }}card_bin6,
    {{ prefix }}card_last4,
    {{ prefix }}card_network,
    {{ prefix }}issuer_country,
    {{ prefix }}payment_solution,
    {{ prefix }}processor,
    {{ prefix }}entry_mode,
    {{ prefix }}uses_3ds,
    {{ prefix }}three_ds_outcome,
    {{ prefix }}device_id,
    {{ prefix }}device_trust_score,
    {{ prefix }}ip_country,
    {{ prefix }}lat,
    {{ prefix }}lon,
    {{ prefix }}city,
    {{ prefix }}fraud_score,
    {{ prefix }}aml_score,
    {{ prefix }}is_approved,
    {{ prefix }}decline_reason,
    {{ prefix }}is_retry,
    {{ prefix }}retry_of,
    {{ prefix }}attempt,
    {{ prefix }}latency_ms
  )
{%- endmacro %}

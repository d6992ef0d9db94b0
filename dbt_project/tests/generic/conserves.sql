{% test conserves(model, whole, parts) %}
{{ config(meta={"description": "Every row's whole is the sum of its parts."}) }}
select * from {{ model }} where {{ whole }} <> {{ parts | join(' + ') }}
{% endtest %}

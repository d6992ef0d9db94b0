{# Every row's whole is the sum of its parts. #}
{% test conserves(model, whole, parts) %}
select * from {{ model }} where {{ whole }} <> {{ parts | join(' + ') }}
{% endtest %}

{% test within_0_and_1(model, column_name) %}
{{ config(meta={"description": "A rate or a share lies between 0 and 1, where there is one."}) }}
select * from {{ model }} where {{ column_name }} not between 0 and 1
{% endtest %}

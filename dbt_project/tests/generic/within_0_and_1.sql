{# A rate or a share, where there is one. #}
{% test within_0_and_1(model, column_name) %}
select * from {{ model }} where {{ column_name }} not between 0 and 1
{% endtest %}

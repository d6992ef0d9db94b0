{% test unique_grain(model, columns) %}
{{ config(meta={"description": "No two rows have the same values in the columns that make the grain."}) }}
select {{ columns | join(', ') }}, count(*) as occurrences
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

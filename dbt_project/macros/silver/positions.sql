{# Positions in the source log: the identity of every increment. They are read while a model compiles and stand in its
   SQL as numbers, so that Delta and DuckDB skip what lies before them. #}

{# Up to where increments are complete: where the next one begins. #}
{% macro increment_start() -%}
  {{ return(_position(earlier('increments'), 'upto_row')) }}
{%- endmacro %}

{# A table of silver as earlier increments left it. Not a ref: it is built further down, from what reads it here. #}
{% macro earlier(name) -%}
  {{ return(api.Relation.create(database=target.database, schema='silver', identifier=name)) }}
{%- endmacro %}

{# Whether there were earlier increments. #}
{% macro has_earlier() -%}
  {{ return(execute and not flags.FULL_REFRESH and load_relation(earlier('increments')) is not none) }}
{%- endmacro %}

{# Up to where a rollup covers silver. #}
{% macro covered_upto(relation) -%}
  {{ return(_position(relation, 'covered_upto')) }}
{%- endmacro %}

{# From where on a table, which holds rows in the order of arrival, lacks them. #}
{% macro next_row(relation) -%}
  {{ return(_position(relation, '_row_number + 1')) }}
{%- endmacro %}

{% macro _position(relation, expression) -%}
  {%- if not execute or flags.FULL_REFRESH -%} {{ return(0) }} {%- endif -%}
  {%- set found = load_relation(relation) -%}
  {%- if found is none -%} {{ return(0) }} {%- endif -%}
  {{ return(run_query('select coalesce(max(' ~ expression ~ '), 0) from ' ~ relation).columns[0][0] | int) }}
{%- endmacro %}

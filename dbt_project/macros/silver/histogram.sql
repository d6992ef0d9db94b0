{# Histograms with buckets that grow by a factor, so that a percentile is known within half a bucket: 2.5 % at 1.05. #}
{% macro histogram_bucket(value) -%}
  (case when {{ value }} < 1 then 0 else 1 + floor(ln({{ value }}) / ln({{ var('histogram_base') }})) end)::smallint
{%- endmacro %}

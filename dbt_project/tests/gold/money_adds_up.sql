-- Per currency: approved and declined amounts, with those of undecided authorisations, are the gross; and what is lost by
-- decline reason is what was declined. Amounts of undecided authorisations follow from the rollup.
with lines as (
  select currency, line_item, sum(amount_minor) as amount_minor from {{ ref('v_financial_summary') }} group by all
),

sides as (
  select
    currency,
    sum(amount_minor) filter (line_item = 'gross') as gross,
    sum(amount_minor) filter (line_item = 'approved') as approved,
    -sum(amount_minor) filter (line_item = 'declined') as declined,
    -coalesce(sum(amount_minor) filter (line_item = 'lost_by_decline_reason'), 0) as lost
  from lines
  group by currency
),

undecided as (
  select currency, sum(amount_minor - approved_minor - declined_minor) as amount_minor
  from {{ ref('payments_hourly') }}
  where dimension = 'all' and {{ within_days(30) }}
  group by currency
)

select *
from sides
join undecided using (currency)
where sides.gross <> sides.approved + sides.declined + undecided.amount_minor or sides.declined <> sides.lost

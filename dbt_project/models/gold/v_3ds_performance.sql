with hours as (
  select * from {{ ref('payments_hourly') }} where dimension = 'three_ds' and {{ within_days(30) }}
),

-- Each outcome by itself, and all that asked for 3-D Secure against all that did not.
groups as (
  select member as three_ds, * from hours
  union all
  select case when member = 'not_requested' then 'all_without' else 'all_with' end, * from hours where member <> '(none)'
),

summed as (
  select
    three_ds,
    sum(authorisations)::bigint as authorisations,
    sum(authorisations) filter (member = 'frictionless') as frictionless,
    sum(authorisations) filter (member in ('challenge_passed', 'challenge_failed')) as challenged,
    sum(authorisations) filter (member = 'abandoned') as abandoned,
    sum(approvals)::bigint as approvals,
    sum(declines)::bigint as declines,
    sum(fraud_scored)::bigint as fraud_scored,
    sum(fraud_score_micro)::bigint as fraud_score_micro,
    sum(high_risk)::bigint as high_risk
  from groups
  group by three_ds
)

select
  three_ds,
  authorisations,
  case when three_ds = 'all_with' then {{ rate('coalesce(frictionless, 0)', 'authorisations') }} end as frictionless_rate,
  case when three_ds = 'all_with' then {{ rate('coalesce(challenged, 0)', 'authorisations') }} end as challenge_rate,
  case when three_ds = 'all_with' then {{ rate('coalesce(abandoned, 0)', 'authorisations') }} end as abandonment_rate,
  approvals,
  declines,
  {{ rate('approvals', 'approvals + declines') }} as approval_rate,
  {{ rate('fraud_score_micro', 'fraud_scored') }} / 1000000 as average_fraud_score,
  {{ rate('high_risk', 'fraud_scored') }} as high_risk_share
from summed

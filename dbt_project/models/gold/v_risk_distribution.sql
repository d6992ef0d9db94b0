{{ performance_by('risk_tier', 'risk_tier') }}

{{ performance_by('merchant_segment', 'merchant_segment') }}

{{ performance_by('merchant_country', 'merchant_country') }}

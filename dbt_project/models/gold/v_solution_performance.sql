{{ performance_by('payment_solution', 'payment_solution') }}

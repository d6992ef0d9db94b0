{{ performance_by('card_network', 'card_network') }}

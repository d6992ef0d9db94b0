"""Public facts and invented constants that the company stands on: places, currencies, trades, processors."""

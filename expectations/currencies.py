"""ISO 4217: how many decimals a currency has."""

from functools import cache

from iso4217 import Currency

FIXED_POINT_DECIMALS = 4
FIXED_POINT_SCALE = 10**FIXED_POINT_DECIMALS
"""Weights, and amounts compared across currencies, are integers in 1/10,000. No currency is finer."""


@cache
def minor_unit_exponents() -> dict[str, int]:
    """Decimals by ISO 4217 code, for every currency that has a minor unit (EUR 2, JPY 0, KWD 3)."""
    return {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}

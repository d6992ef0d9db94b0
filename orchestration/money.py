"""Money as people read it. Inside the platform it is integers in minor units."""

from collections.abc import Mapping
from decimal import Decimal

from expectations.currencies import minor_unit_exponents


def display(amount_minor: Mapping[str, int]) -> str:
    """`{"EUR": 123456, "JPY": 1200}` as `1,234.56 EUR, 1,200 JPY`; the commas also keep sums unlike card numbers."""
    exponents = minor_unit_exponents()
    return ", ".join(
        f"{Decimal(amount).scaleb(-exponents[currency]):,.{exponents[currency]}f} {currency}"
        for currency, amount in sorted(amount_minor.items())
    )

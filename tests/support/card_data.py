"""Card numbers for tests, valid by construction, and their tokens: computed here, not by the code under test."""

import base64
import hashlib
import hmac
import itertools

TOKEN_KEY = b"a key that only the tests know, 40 bytes"

PREFIXES = (
    ("visa", "4", 16),
    ("visa", "4", 13),
    ("visa", "4", 19),
    ("mastercard", "51", 16),
    ("mastercard", "2720", 16),
    ("amex", "34", 15),
    ("amex", "37", 15),
    ("diners", "36", 14),
    ("discover", "6011", 16),
    ("jcb", "3528", 16),
    ("unionpay", "62", 16),
    ("unionpay", "62", 19),
    ("maestro", "6759", 12),
    ("mir", "2200", 16),
)
"""(network, issuer prefix, length), as the networks publish them."""


def card_number(prefix: str, length: int, filler: str = "0123456789") -> str:
    """A number with that prefix and length, digits in between taken from `filler`, and the Luhn check digit."""
    body = (prefix + filler * length)[: length - 1]
    return body + next(check for check in "0123456789" if passes_luhn(body + check))


def passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B, as it is written there."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value // 10 + value % 10
    return total % 10 == 0


def grouped(number: str, separator: str) -> str:
    """As it is embossed: 4-6-4 or 4-6-5 for 14 and 15 digits, fours for the others."""
    cuts = [4, 10] if len(number) in (14, 15) else range(4, len(number), 4)
    edges = [0, *cuts, len(number)]
    return separator.join(number[first:last] for first, last in itertools.pairwise(edges))


def spellings(number: str) -> tuple[str, str, str]:
    """Plain, with blanks, with hyphens."""
    return number, grouped(number, " "), grouped(number, "-")


def token(number: str) -> str:
    """`tok_` and the first 160 bits of HMAC-SHA-256 in base32."""
    digest = hmac.new(TOKEN_KEY, number.encode(), hashlib.sha256).digest()
    return "tok_" + base64.b32encode(digest[:20]).decode()


VISA = card_number("4111", 16, "1")
"""4111 1111 1111 1111, the number that everybody tests with."""

"""Card numbers: what one looks like, how it is tokenised, and how text is freed of it.

A card number (PAN) is a run of digits that starts in an issuer range, has a length that this network uses,
and passes the Luhn check (ISO/IEC 7812-1).
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.errors import SettingsError
from expectations.settings import Settings

MIN_DIGITS, MAX_DIGITS = 12, 19

# Issuer ranges as (network, first prefix, last prefix, lengths), from ISO/IEC 7812 and the networks' rules.
_ISSUER_RANGES: tuple[tuple[str, str, str, frozenset[int]], ...] = (
    ("visa", "4", "4", frozenset({13, 16, 19})),
    ("mastercard", "51", "55", frozenset({16})),
    ("mastercard", "2221", "2720", frozenset({16})),
    ("mir", "2200", "2204", frozenset({16, 17, 18, 19})),
    ("amex", "34", "34", frozenset({15})),
    ("amex", "37", "37", frozenset({15})),
    ("diners", "300", "305", frozenset({14, 16, 17, 18, 19})),
    ("diners", "36", "36", frozenset({14, 15, 16, 17, 18, 19})),
    ("diners", "38", "39", frozenset({14, 16, 17, 18, 19})),
    ("jcb", "3528", "3589", frozenset({16, 17, 18, 19})),
    ("discover", "6011", "6011", frozenset({16, 17, 18, 19})),
    ("discover", "644", "659", frozenset({16, 17, 18, 19})),
    ("unionpay", "62", "62", frozenset({16, 17, 18, 19})),
    ("rupay", "60", "60", frozenset({16})),
    ("rupay", "81", "82", frozenset({16})),
    ("maestro", "5018", "5018", frozenset(range(12, 20))),
    ("maestro", "5020", "5020", frozenset(range(12, 20))),
    ("maestro", "5038", "5038", frozenset(range(12, 20))),
    ("maestro", "5893", "5893", frozenset(range(12, 20))),
    ("maestro", "6304", "6304", frozenset(range(12, 20))),
    ("maestro", "6759", "6763", frozenset(range(12, 20))),
)

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

# How a card number is written: together, and not as the digits after a decimal point; or in groups with one kind
# of separator, as words of their own.
_SPELLINGS = (
    re.compile(rb"(?<![0-9])(?<![0-9]\.)[0-9]{12,19}(?![0-9])"),
    *(
        re.compile(rb"(?<![0-9A-Za-z])%s(?![0-9A-Za-z])" % groups)
        for groups in (
            rb"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}\1[0-9]{1,3}",
            rb"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}",
            rb"[0-9]{4}([ -])[0-9]{6}\1[0-9]{4,5}",
        )
    ),
)
_MANY_DIGITS = rf"[0-9]([ -]?[0-9]){{{MIN_DIGITS - 1}}}"
_WORD = re.compile(rb"[0-9A-Za-z]")
_HEX_WORD = re.compile(rb"[0-9a-f]{24,}|[0-9A-F]{24,}")
_STRETCH_BYTES = 256 * 1024
_BASE32 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", np.uint8)
_BASE32_BITS = 5
_BIT_VALUES = 1 << np.arange(_BASE32_BITS - 1, -1, -1, dtype=np.uint8)
_LONG_DIGITS = re.compile(r"\d(?:[ -]?\d){11,}")


class CardNumberMatch(NamedTuple):
    """Where a card number stands in a text. It never holds the number itself."""

    start: int
    end: int
    network: str


def luhn_valid(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others."""
    total = sum(int(d) for d in digits[-1::-2]) + sum(_DOUBLED[int(d)] for d in digits[-2::-2])
    return total % 10 == 0


def network_of(digits: str) -> str | None:
    """The network in whose issuer range and lengths the digits fall, or None."""
    for network, first, last, lengths in _ISSUER_RANGES:
        if len(digits) in lengths and first <= digits[: len(first)] <= last:
            return network
    return None


def find_card_numbers(text: bytes) -> Iterator[CardNumberMatch]:
    """Every card number in `text`, in order. Digits inside a long hexadecimal word (a hash) do not count."""
    for run_start, run_end in _digit_runs(text):
        found_upto = run_start
        for start, end in _candidates(text, run_start, run_end):
            digits = text[start:end].replace(b" ", b"").replace(b"-", b"").decode()
            network = network_of(digits)
            if start >= found_upto and network and luhn_valid(digits) and not _inside_hash(text, start, end):
                found_upto = end
                yield CardNumberMatch(start, end, network)


def _candidates(text: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """What in a run of digits is spelt like a card number, in order, overlaps too: a year or a CVV may stand beside."""
    found = []
    for spelling in _SPELLINGS:
        position = start
        # One byte more lets the pattern see what follows the run.
        while match := spelling.search(text, position, min(end + 1, len(text))):
            found.append(match.span())
            position = match.start() + 1
    return sorted(found, key=lambda span: (span[0], -span[1]))


def _digit_runs(text: bytes) -> Iterator[tuple[int, int]]:
    """Where twelve or more digits follow each other with at most one blank or hyphen between two of them.

    Lines are looked at some hundred kilobytes at a time: the positions of all digits of a chunk file would take ten
    times its size. A run never crosses a newline.
    """
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _STRETCH_BYTES) + 1 or len(text)
        stretch = text[start:end]
        # As a rule there is none; and this is the quickest way to see it.
        if pc.match_substring_regex(pa.scalar(stretch, pa.binary()), _MANY_DIGITS).as_py():
            yield from ((start + first, start + last) for first, last in _digit_runs_within(stretch))
        start = end


def _digit_runs_within(text: bytes) -> list[tuple[int, int]]:
    octets = np.frombuffer(text, np.uint8)
    digits = np.flatnonzero((octets - np.uint8(48)) < 10)
    gaps = np.diff(digits)
    between = octets[digits[:-1] + 1]
    is_joined = (gaps == 1) | ((gaps == 2) & ((between == 32) | (between == 45)))
    breaks = np.flatnonzero(~is_joined)
    first = np.concatenate([[0], breaks + 1])
    last = np.concatenate([breaks, [len(digits) - 1]])
    is_long = last - first >= MIN_DIGITS - 1
    return list(zip(digits[first[is_long]].tolist(), (digits[last[is_long]] + 1).tolist(), strict=True))


def _inside_hash(text: bytes, start: int, end: int) -> bool:
    while start > 0 and _WORD.match(text, start - 1):
        start -= 1
    while end < len(text) and _WORD.match(text, end):
        end += 1
    return _HEX_WORD.fullmatch(text, start, end) is not None


class Tokeniser:
    """Turns card numbers into tokens: the same number and key give the same token, and there is no way back."""

    def __init__(self, key: bytes):
        if len(key) < 32:
            raise SettingsError("the token key is shorter than 32 bytes", remedy="make one with `tollgate keygen`")
        self._key = key

    def token(self, digits: str) -> str:
        """The token of one card number."""
        return self.tokens([digits])[0]

    def tokens(self, numbers: Sequence[str]) -> list[str]:
        """The tokens of some card numbers, in their order: 160 bits of HMAC-SHA256, in base32 (RFC 4648)."""
        digests = b"".join(hmac.digest(self._key, digits.encode(), hashlib.sha256)[:20] for digits in numbers)
        bits = np.unpackbits(np.frombuffer(digests, np.uint8)).reshape(-1, _BASE32_BITS)
        letters = _BASE32[bits @ _BIT_VALUES].tobytes().decode()
        return [f"tok_{letters[at : at + 32]}" for at in range(0, len(letters), 32)]

    def redact(self, text: str) -> str:
        """`text` with a token in the place of every card number."""
        raw = text.encode()
        parts, position = [], 0
        for match in find_card_numbers(raw):
            digits = raw[match.start : match.end].replace(b" ", b"").replace(b"-", b"").decode()
            parts += [raw[position : match.start].decode(), self.token(digits)]
            position = match.end
        return "".join([*parts, raw[position:].decode()])


def mask_long_numbers(text: str) -> str:
    """`text` with every run of 12 or more digits masked, card number or not: for what is shown of a bad entry."""
    return _LONG_DIGITS.sub(lambda match: f"<{sum(c.isdigit() for c in match.group())} digits>", text)


def fingerprint(content: bytes) -> str:
    """SHA-256 in base32, so that it can never look like a card number."""
    return base64.b32encode(hashlib.sha256(content).digest()).decode().rstrip("=")


TokeniserFactory = Callable[[], Tokeniser]
"""Makes the tokeniser when the first card number is met: a source without any needs no key."""


def load_tokeniser(settings: Settings) -> Tokeniser:
    """The tokeniser under the configured key.

    Raises:
        SettingsError: there is no key, or its file can be read by others.
    """
    if settings.token_key is not None:
        return Tokeniser(settings.token_key.get_secret_value().encode())
    path = settings.token_key_file
    if not path.exists():
        raise SettingsError(
            "card numbers need a token key and there is none",
            where=path,
            remedy="set TOLLGATE_TOKEN_KEY or TOLLGATE_TOKEN_KEY_FILE, or make one with `tollgate keygen`",
        )
    if path.stat().st_mode & 0o077:
        raise SettingsError("the token key can be read by others", where=path, remedy="chmod 600")
    return Tokeniser(path.read_bytes().strip())


def make_token_key(path: Path) -> bool:
    """Writes a new random key to `path` with mode 0600 unless one is there; tells whether it did."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(base64.b32encode(secrets.token_bytes(40)) + b"\n")
    return True

"""What a log means, worked out the slow way: record by record with Python's `csv`, field by field in plain Python.

Shares no code with the adapters and the chunker; from the contract it takes the columns, whether they may be null,
and their ranges.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from expectations.payments import PAYMENT
from tests.support.card_data import spellings, token

MAX_ENTRY_BYTES = 65_536
DAY_ZERO = datetime(2026, 1, 1, tzinfo=UTC)
MINOR_DIGITS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3, "CLF": 4}
"""ISO 4217, for the currencies that the tests use."""


@dataclass(frozen=True)
class Entry:
    """One entry of a log: a payment event (`row`), or why it is none (`reason`, and the source column at fault)."""

    number: int
    byte_offset: int
    content: bytes
    row: dict[str, Any] | None = None
    reason: str | None = None
    column: str | None = None
    amount_minor: int | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Format:
    """A source format: its quote, and for each canonical column the source column and how its text is read."""

    quote: str
    columns: dict[str, tuple[str | None, Callable[[str | None, dict[str, str | None], int], Any]]]


class Unreadable(Exception):
    """The text does not parse; the argument is the reason code."""


def entries_of(log: bytes, source: Format, is_final: bool, cards: tuple[str, ...] = ()) -> list[Entry]:
    """Every entry of a log. `cards` are the card numbers that may stand in texts, and are replaced by tokens."""
    header_line, newline, body = log.partition(b"\n")
    header = header_line.decode("utf-8-sig").strip().split(",")
    start = len(header_line) + len(newline)
    return [
        _entry(number, start + position, content, is_unterminated, header, source, cards)
        for number, (position, content, is_unterminated) in enumerate(records_of(body, source.quote.encode(), is_final))
    ]


def records_of(body: bytes, quote: bytes, is_final: bool) -> Iterator[tuple[int, bytes, bool]]:
    """The records below a header: position, bytes, and whether a quote stays open."""
    start = 0
    while start < len(body):
        end = first_end = None
        for stop in _line_ends(body, start, is_final):
            first_end = first_end or stop
            if body.count(quote, start, stop) % 2 == 0:
                end = stop
                break
        length = None if end is None else len(body[start:end].removesuffix(b"\n"))
        if end is not None and (end == first_end or length < MAX_ENTRY_BYTES):
            yield start, body[start:end], False
        elif first_end is not None and (is_final or len(body) - start > MAX_ENTRY_BYTES):
            yield start, body[start:first_end], True
            end = first_end
        else:
            return
        start = end


def _line_ends(body: bytes, start: int, is_final: bool) -> Iterator[int]:
    while (newline := body.find(b"\n", start)) >= 0:
        start = newline + 1
        yield start
    if is_final and start < len(body):
        yield len(body)


def _entry(
    number: int, offset: int, content: bytes, is_unterminated: bool, header: list[str], source: Format, cards: tuple
) -> Entry:
    def rejected(reason: str, *further: Any) -> Entry:
        return Entry(number, offset, content, None, reason, *further)

    if is_unterminated:
        return rejected("unterminated_quote")
    if len(content) > MAX_ENTRY_BYTES:
        return rejected("malformed_record")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return rejected("bad_encoding")
    if _fields(text, source.quote) != len(header):
        return rejected("wrong_field_count")
    try:
        parsed = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), quotechar=source.quote))
    except csv.Error:
        return rejected("malformed_record")
    if [len(fields) for fields in parsed] != [len(header)]:
        return rejected("malformed_record")
    values = {name: value or None for name, value in zip(header, parsed[0], strict=True)}
    money = tuple(_or_none(source, name, values, number) for name in ("amount_minor", "currency"))
    row: dict[str, Any] = {}
    for column in sorted(PAYMENT.fields, key=lambda column: column.name != "currency"):
        at, read = source.columns.get(column.name, (column.name, lambda *_: None))
        try:
            value = read(values.get(at) if at else None, values, number)
        except Unreadable as error:
            return rejected(str(error), at, *money)
        if value is None and not column.nullable:
            return rejected("missing_value", at, *money)
        if value is not None and column.minimum is not None and value < column.minimum:
            return rejected("out_of_range", at, *money)
        if value is not None and column.maximum is not None and value > column.maximum:
            return rejected("out_of_range", at, *money)
        if value is not None and column.allowed and value not in column.allowed:
            return rejected("not_allowed", at, *money)
        row[column.name] = _redacted(value, cards) if isinstance(value, str) else value
    return Entry(number, offset, content, {name: row[name] for name in PAYMENT.columns})


def _fields(text: str, quote: str) -> int:
    """Delimiters outside quotes, and one."""
    pieces = text.split(quote)
    return 1 + sum(piece.count(",") for piece in pieces[::2])


def _or_none(source: Format, name: str, values: dict[str, str | None], number: int) -> Any:
    at, read = source.columns[name]
    try:
        return read(values.get(at) if at else None, values, number)
    except Unreadable:
        return None


def _redacted(text: str, cards: tuple[str, ...]) -> str:
    for card in cards:
        for spelling in spellings(card):
            text = text.replace(spelling, token(card))
    return text


def _text(value, values, number):
    return value


def _matching(value: str | None, pattern: str, reason: str) -> str | None:
    if value is not None and not re.fullmatch(pattern, value, re.ASCII):
        raise Unreadable(reason)
    return value


def _number(value, values, number):
    pattern = r"-?(\d{1,9}(\.\d{0,18})?|\.\d{1,18})([eE]-?\d{1,2})?"
    return None if value is None else float(_matching(value, pattern, "bad_number"))


def _whole(lowest: int, highest: int):
    def read(value, values, number):
        if value is None:
            return None
        whole = int(_matching(value, r"-?\d{1,9}", "bad_number"))
        if not lowest <= whole <= highest:
            raise Unreadable("bad_number")
        return whole

    return read


def _truth(value, values, number):
    known = {"true": True, "1": True, "false": False, "0": False}
    if value is not None and value.lower() not in known:
        raise Unreadable("bad_boolean")
    return None if value is None else known[value.lower()]


def _instant(value, values, number):
    if value is None:
        return None
    form = r"(?:19|20|21)\d\d-\d\d-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?"
    cut = re.sub(r"(\.\d{6})\d+", r"\1", _matching(value, form, "bad_instant"))
    try:
        moment = datetime.fromisoformat(cut)
    except ValueError as error:
        raise Unreadable("bad_instant") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _currency(value, values, number):
    if value is not None and value not in MINOR_DIGITS:
        raise Unreadable("unknown_currency")
    return value


def _scaled(value: str | None, digits: int) -> int | None:
    if value is None:
        return None
    scaled = Decimal(_matching(value, r"-?\d{1,11}(\.\d{1,4})?", "bad_number")).scaleb(digits)
    if scaled != int(scaled):
        raise Unreadable("bad_number")
    return int(scaled)


def _money(value, values, number):
    _matching(value, r"-?\d{1,11}(\.\d{1,4})?", "bad_number")
    currency = values.get("currency")
    return _scaled(value, MINOR_DIGITS[currency]) if currency in MINOR_DIGITS else None


def _fixed_point(value, values, number):
    return _scaled(value, 4)


def _card(take: Callable[[str], str], is_judge: bool = False):
    def read(value, values, number):
        digits = re.sub("[ -]", "", value or "")
        if re.fullmatch(r"\d{12,19}", digits, re.ASCII):
            return take(digits)
        if value is not None and is_judge:
            raise Unreadable("bad_card_number")
        return None

    return read


def _known(unknown: str):
    return lambda value, values, number: None if value == unknown else value


def _day(value, values, number):
    if value is None:
        return None
    return DAY_ZERO + timedelta(days=int(_matching(value, r"\d{1,5}", "bad_instant")))


_SCORES = ("device_trust_score", "fraud_score", "aml_score", "lat", "lon")
_TRUTHS = ("uses_3ds", "is_approved", "is_retry")

OURS = Format(
    quote='"',
    columns={name: (name, _text) for name in PAYMENT.columns}
    | {name: (name, _number) for name in _SCORES}
    | {name: (name, _truth) for name in _TRUTHS}
    | {
        "event_timestamp": ("event_timestamp", _instant),
        "amount_minor": ("amount", _money),
        "fee_minor": ("fee", _money),
        "currency": ("currency", _currency),
        "weight": ("weight", _fixed_point),
        "card_token": ("card_number", _card(token, is_judge=True)),
        "card_bin6": ("card_number", _card(lambda digits: digits[:6])),
        "card_last4": ("card_number", _card(lambda digits: digits[-4:])),
        "attempt": ("attempt", _whole(-(2**15), 2**15 - 1)),
        "latency_ms": ("latency_ms", _whole(-(2**31), 2**31 - 1)),
    },
)

BANKSIM = Format(
    quote="'",
    columns={
        "transaction_id": (None, lambda value, values, number: f"banksim-{number}"),
        "event_type": (None, lambda *_: "authorisation"),
        "event_timestamp": ("step", _day),
        "customer_id": ("customer", _text),
        "gender": ("gender", _known("U")),
        "age_band": ("age", _known("U")),
        "merchant_id": ("merchant", _text),
        "merchant_segment": ("category", _text),
        "amount_minor": ("amount", lambda value, values, number: _scaled(value, 2)),
        "currency": (None, lambda *_: "EUR"),
        "weight": ("amount", _fixed_point),
    },
)

FORMATS = {"ours": OURS, "banksim": BANKSIM}

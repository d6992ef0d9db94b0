"""Parsers of source columns: text in, one typed canonical column out, with a mask of what does not parse."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from expectations.card_numbers import MAX_DIGITS, MIN_DIGITS, TokeniserFactory
from expectations.currencies import FIXED_POINT_DECIMALS, FIXED_POINT_SCALE, minor_unit_exponents
from expectations.sources.references import References


class Reason(StrEnum):
    """Why an entry cannot become a payment event."""

    UNTERMINATED_QUOTE = "unterminated_quote"
    BAD_ENCODING = "bad_encoding"
    WRONG_FIELD_COUNT = "wrong_field_count"
    MALFORMED_RECORD = "malformed_record"
    MISSING_VALUE = "missing_value"
    BAD_NUMBER = "bad_number"
    BAD_INSTANT = "bad_instant"
    BAD_BOOLEAN = "bad_boolean"
    BAD_CARD_NUMBER = "bad_card_number"
    UNKNOWN_CURRENCY = "unknown_currency"
    OUT_OF_RANGE = "out_of_range"
    NOT_ALLOWED = "not_allowed"


@dataclass(frozen=True)
class RawBlock:
    """Consecutive entries of a source, as text.

    Attributes:
        table: one string column per source column; empty values are null.
        entries: int64, each row's entry number in the log.
        make_tokeniser: called once a card number is met.
        day_zero: what a source that counts days counts from.
        source: name of the log.
        references: what is known of cards and customers apart from the log.
    """

    table: pa.Table
    entries: np.ndarray
    make_tokeniser: TokeniserFactory
    day_zero: datetime
    source: str
    references: References
    _cards: dict[str, tuple[pa.Array, np.ndarray]] = field(default_factory=dict)

    def text(self, column: str) -> pa.Array:
        """A source column; all null where the source lacks it."""
        if column not in self.table.column_names:
            return pa.nulls(len(self.table), pa.string())
        return self.table.column(column).combine_chunks()


@dataclass(frozen=True)
class Parsed:
    """A canonical column; where `is_bad` the text was there but did not parse, and the value is null."""

    values: pa.Array
    is_bad: np.ndarray | None = None
    reason: Reason | None = None
    rule: str = ""
    source_column: str | None = None


Parser = Callable[[RawBlock], Parsed]


def text(column: str, unknown: str | None = None) -> Parser:
    """The text as it is; null where it equals `unknown`."""

    def parse(block: RawBlock) -> Parsed:
        values = block.text(column)
        if unknown is not None:
            values = pc.if_else(pc.equal(values, unknown), pa.scalar(None, pa.string()), values)
        return Parsed(values, source_column=column)

    return parse


def constant(value: str) -> Parser:
    """The same text in every row."""
    return lambda block: Parsed(pa.repeat(pa.scalar(value, pa.string()), len(block.table)))


def labelled(column: str, words: Mapping[str, str]) -> Parser:
    """The canonical word for each of the source's; other text is bad."""

    def parse(block: RawBlock) -> Parsed:
        values = block.text(column)
        at = pc.index_in(values, value_set=pa.array([*words]), skip_nulls=True)
        is_bad = _mask(pc.and_(pc.is_null(at), pc.is_valid(values)))
        rule = f"one of {', '.join(words)}"
        return Parsed(pc.take(pa.array([*words.values()]), at), is_bad, Reason.NOT_ALLOWED, rule, column)

    return parse


def entry_id(prefix: str) -> Parser:
    """An identifier for sources without one: the entry's position, which never changes."""
    return lambda block: Parsed(pa.array([f"{prefix}-{number}" for number in block.entries.tolist()], pa.string()))


def integer(column: str, kind: pa.DataType) -> Parser:
    """Whole numbers of at most nine digits."""

    def parse(block: RawBlock) -> Parsed:
        values, is_bad = _where_matching(block.text(column), r"^-?[0-9]{1,9}$")
        wide = pc.cast(values, pa.int64())
        limit = 2 ** (kind.bit_width - 1)
        overflows = _mask(pc.or_(pc.less(wide, -limit), pc.greater_equal(wide, limit)))
        if overflows.any():
            wide, is_bad = pc.if_else(pa.array(overflows), None, wide), is_bad | overflows
        return Parsed(pc.cast(wide, kind), is_bad, Reason.BAD_NUMBER, f"{kind} whole number", column)

    return parse


def number(column: str) -> Parser:
    """Binary floating point, for measures that are no money: scores and coordinates."""

    def parse(block: RawBlock) -> Parsed:
        values, is_bad = _where_matching(
            block.text(column), r"^-?([0-9]{1,9}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE]-?[0-9]{1,2})?$"
        )
        return Parsed(pc.cast(values, pa.float64()), is_bad, Reason.BAD_NUMBER, "decimal number", column)

    return parse


def boolean(column: str) -> Parser:
    """true/false or 1/0, in any case."""

    def parse(block: RawBlock) -> Parsed:
        values = block.text(column)
        lowered = pc.utf8_lower(values)
        is_true = pc.is_in(lowered, value_set=pa.array(["true", "1"]))
        is_known = pc.is_in(lowered, value_set=pa.array(["true", "1", "false", "0"]))
        is_bad = _mask(pc.and_(pc.invert(is_known), pc.is_valid(values)))
        return Parsed(pc.if_else(is_known, is_true, None), is_bad, Reason.BAD_BOOLEAN, "true or false", column)

    return parse


_INSTANT_TYPE = pa.timestamp("us", tz="UTC")
_INSTANT = (
    r"^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$"
)


def instant(column: str) -> Parser:
    """ISO 8601, from 1900 to 2199; without an offset it is UTC. Finer than microseconds is cut off."""

    def parse(block: RawBlock) -> Parsed:
        moments, is_bad = _instants(block.text(column))
        return Parsed(moments, is_bad, Reason.BAD_INSTANT, "ISO 8601 instant from 1900 to 2199", column)

    return parse


_SERIAL_DATE = r"^[0-9]{2,6}(\.[0-9]{1,15})?$"
_SERIAL_UNIX_EPOCH = 25_569
_SERIAL_FIRST, _SERIAL_END = 61, 109_575
"""1900-03-01, before which spreadsheets count a day that never was, and 2200-01-01."""


def instant_or_serial_date(column: str) -> Parser:
    """An instant, or a spreadsheet's serial date in its place: days since 1899-12-30 with a fraction, in UTC.

    A serial date is rounded to the second, since spreadsheets write fractions with as few as five digits.
    """

    def parse(block: RawBlock) -> Parsed:
        values = block.text(column)
        is_serial = pc.match_substring_regex(values, _SERIAL_DATE)
        moments, is_bad = _instants(pc.if_else(is_serial, None, values))
        if pc.any(is_serial).as_py():
            dates, is_outside = _serial_dates(pc.if_else(is_serial, values, None))
            moments, is_bad = pc.coalesce(moments, dates), is_bad | is_outside
        rule = "ISO 8601 instant from 1900 to 2199, or a serial date"
        return Parsed(moments, is_bad, Reason.BAD_INSTANT, rule, column)

    return parse


def _serial_dates(values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    days = pc.cast(values, pa.decimal128(21, 15))
    is_outside = pc.or_(pc.less(days, Decimal(_SERIAL_FIRST)), pc.greater_equal(days, Decimal(_SERIAL_END)))
    days = pc.if_else(is_outside, None, days)
    seconds = pc.round(pc.multiply(days, pa.scalar(Decimal(86_400), pa.decimal128(5, 0))))
    since_epoch = pc.subtract(pc.cast(seconds, pa.int64()), _SERIAL_UNIX_EPOCH * 86_400)
    return pc.cast(pc.multiply(since_epoch, 1_000_000), _INSTANT_TYPE), _mask(is_outside)


def _instants(values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    values, is_bad = _where_matching(values, _INSTANT)
    try:
        return pc.cast(values, _INSTANT_TYPE), is_bad
    except pa.ArrowInvalid:
        moments = pd.to_datetime(_with_offset(values).to_pandas(), format="ISO8601", utc=True, errors="coerce")
        parsed = pa.array(moments.dt.floor("us"), type=_INSTANT_TYPE, from_pandas=True)
        return parsed, is_bad | _mask(pc.and_(pc.is_null(parsed), pc.is_valid(values)))


def _with_offset(instants: pa.Array) -> pa.Array:
    """Instants with a time and an offset: pandas would give one without the offset of the row before."""
    with_time = pc.replace_substring_regex(instants, r"^(.{10})$", r"\1T00:00")
    return pc.replace_substring_regex(with_time, r"^(.{10}[T ][0-9:.]+)$", r"\1Z")


def day_number(column: str) -> Parser:
    """Days since the configured day zero, as the instant at which that day begins."""

    def parse(block: RawBlock) -> Parsed:
        values, is_bad = _where_matching(block.text(column), r"^[0-9]{1,5}$")
        days = pc.cast(values, pa.int64())
        microseconds = pc.multiply(days, timedelta(days=1) // timedelta(microseconds=1))
        zero = int(block.day_zero.timestamp()) * 1_000_000
        moments = pc.cast(pc.add(microseconds, zero), _INSTANT_TYPE)
        return Parsed(moments, is_bad, Reason.BAD_INSTANT, "day number from 0", column)

    return parse


Spelling = Callable[[pa.Array], pa.Array]
"""Brings a format's way of writing numbers into the plain one, text by text; what it does not know it leaves."""


def _plain(values: pa.Array) -> pa.Array:
    return values


def fixed_point(column: str, spelled: Spelling = _plain) -> Parser:
    """A decimal with at most four places, as an integer in 1/10,000."""

    def parse(block: RawBlock) -> Parsed:
        values, is_bad = _fixed_point(spelled(block.text(column)))
        return Parsed(values, is_bad, Reason.BAD_NUMBER, "decimal with at most 4 places", column)

    return parse


def currency(column: str) -> Parser:
    """An ISO 4217 code that has a minor unit."""

    def parse(block: RawBlock) -> Parsed:
        values = block.text(column)
        is_known = pc.is_in(values, value_set=pa.array(sorted(minor_unit_exponents())))
        is_bad = _mask(pc.and_(pc.invert(is_known), pc.is_valid(values)))
        return Parsed(pc.if_else(is_known, values, None), is_bad, Reason.UNKNOWN_CURRENCY, "ISO 4217 code", column)

    return parse


def money(column: str, currency: Parser, spelled: Spelling = _plain) -> Parser:
    """A decimal in whole units, as an integer in the minor units of its currency, exactly."""

    def parse(block: RawBlock) -> Parsed:
        values, is_bad = _fixed_point(spelled(block.text(column)))
        codes = pc.dictionary_encode(currency(block).values)
        exponents = minor_unit_exponents()
        per_minor = pa.array(
            [10 ** (FIXED_POINT_DECIMALS - exponents[code]) for code in codes.dictionary.to_pylist()], pa.int64()
        )
        divisor = pc.take(per_minor, codes.indices)
        minor = pc.divide(values, divisor)
        is_exact = pc.equal(pc.multiply(minor, divisor), values)
        too_fine = _mask(pc.invert(is_exact))
        minor = pc.if_else(is_exact, minor, None)
        return Parsed(minor, is_bad | too_fine, Reason.BAD_NUMBER, "decimal as fine as the currency", column)

    return parse


def card_token(column: str) -> Parser:
    """The card number's token."""

    def parse(block: RawBlock) -> Parsed:
        digits, is_bad = _card_digits(block, column)
        if digits.null_count == len(digits):
            return Parsed(digits, is_bad, Reason.BAD_CARD_NUMBER, "12 to 19 digits", column)
        cards = pc.dictionary_encode(digits)
        tokens = pa.array(block.make_tokeniser().tokens(cards.dictionary.to_pylist()), pa.string())
        return Parsed(pc.take(tokens, cards.indices), is_bad, Reason.BAD_CARD_NUMBER, "12 to 19 digits", column)

    return parse


def card_bin6(column: str) -> Parser:
    """The card number's first six digits."""
    return lambda block: Parsed(pc.utf8_slice_codeunits(_card_digits(block, column)[0], 0, 6))


def card_last4(column: str) -> Parser:
    """The card number's last four digits."""
    return lambda block: Parsed(pc.utf8_slice_codeunits(_card_digits(block, column)[0], -4))


def _card_digits(block: RawBlock, column: str) -> tuple[pa.Array, np.ndarray]:
    if column not in block._cards:
        digits = pc.replace_substring_regex(block.text(column), r"[ -]", "")
        block._cards[column] = _where_matching(digits, rf"^[0-9]{{{MIN_DIGITS},{MAX_DIGITS}}}$")
    return block._cards[column]


def _fixed_point(values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    values, is_bad = _where_matching(values, r"^-?[0-9]{1,11}(\.[0-9]{1,4})?$")
    exact = pc.cast(values, pa.decimal128(16, FIXED_POINT_DECIMALS))
    scaled = pc.multiply(exact, pa.scalar(Decimal(FIXED_POINT_SCALE), pa.decimal128(5, 0)))
    return pc.cast(scaled, pa.int64()), is_bad


def _where_matching(values: pa.Array, pattern: str) -> tuple[pa.Array, np.ndarray]:
    """The values that match, null where they do not; and the mask of those that were there and did not."""
    matches = pc.match_substring_regex(values, pattern)
    is_bad = _mask(pc.invert(matches))
    return (pc.if_else(matches, values, None), is_bad) if is_bad.any() else (values, is_bad)


def _mask(values: pa.Array) -> np.ndarray:
    """bool, with null as False."""
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)

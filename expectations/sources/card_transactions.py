"""The card transactions of the "Transactions Fraud Datasets": an issuer's log, made up, with its quirks.

Amounts are in US dollars, `$-77.00` is a refund; errors are the reasons of a decline. A spreadsheet on its way may
have made serial numbers of its dates, and floats of its codes (`58523.0`, and `1234.0` for 01234). The state of a shop
abroad is its country. The fraud labels stay outside. Card numbers, brands and people are in files of their own:
see `expectations.sources.references`.
"""

from collections.abc import Callable
from functools import cache

import iso18245
import pyarrow as pa
import pyarrow.compute as pc
import pycountry

from expectations.sources.adapter import SourceAdapter
from expectations.sources.columns import (
    Parsed,
    Parser,
    RawBlock,
    constant,
    fixed_point,
    instant_or_serial_date,
    labelled,
    money,
    text,
)
from expectations.sources.references import joined

_ENTRY_MODES = {
    "Swipe Transaction": "magstripe",
    "Chip Transaction": "chip",
    "Online Transaction": "ecommerce",
}

_DECLINE_REASONS = {
    "Bad CVV": "invalid_cvv",
    "Bad PIN": "invalid_pin",
    "Bad Expiration": "invalid_expiry",
    "Bad Card Number": "invalid_card_number",
    "Bad Zipcode": "invalid_postal_code",
    "Insufficient Balance": "insufficient_funds",
    "Technical Glitch": "technical_error",
}

_COUNTRIES_BY_OTHER_NAMES = {
    "Bahamas": "BS",
    "The Bahamas": "BS",
    "Cote d'Ivoire": "CI",
    "Democratic Republic of the Congo": "CD",
    "East Timor (Timor-Leste)": "TL",
    "Ivory Coast": "CI",
    "Kosovo": "XK",
    "Macedonia": "MK",
    "Micronesia": "FM",
    "Myanmar (Burma)": "MM",
    "Russia": "RU",
    "Turkey": "TR",
    "Vatican City": "VA",
}
"""Names that ISO 3166 does not have. Kosovo's code is the one in common use; ISO has assigned it none."""

_ADULT_AGE_BANDS = ((18, "18-24"), (25, "25-34"), (35, "35-44"), (45, "45-54"), (55, "55-64"), (65, "65+"))


def _event_type(block: RawBlock) -> Parsed:
    """A negative amount is money that goes back."""
    is_refund = pc.match_substring_regex(block.text("amount"), r"^\$?-")
    return Parsed(pc.if_else(is_refund, "refund", "authorisation"), source_column="amount")


def _unsigned(amounts: pa.Array) -> pa.Array:
    """The digits of an amount: which way the money goes is in the type of the event."""
    return pc.replace_substring_regex(amounts, r"^\$?-?([0-9][0-9.]*)$", r"\1")


def _padded(column: str, digits: int) -> Parser:
    """A code of so many digits, with what a spreadsheet has made of it undone; other text as it is."""

    def parse(block: RawBlock) -> Parsed:
        values = block.text(column)
        is_number = pc.match_substring_regex(values, rf"^[0-9]{{1,{digits}}}(\.0*)?$")
        code = pc.utf8_lpad(pc.replace_substring_regex(values, r"\.0*$", ""), digits, "0")
        return Parsed(pc.if_else(is_number, code, values), source_column=column)

    return parse


_MCC = _padded("mcc", 4)


def _segment(block: RawBlock) -> Parsed:
    return Parsed(_of_each(_MCC(block).values, _business), source_column="mcc")


def _of_each(values: pa.Array, of: Callable[[str], str | None]) -> pa.Array:
    """What a function makes of each text, called once for each different one."""
    found = pc.dictionary_encode(values)
    return pc.take(pa.array([of(value) for value in found.dictionary.to_pylist()], pa.string()), found.indices)


@cache
def _business(mcc: str) -> str | None:
    try:
        return iso18245.get_mcc(mcc).iso_description or iso18245.get_mcc(mcc).visa_description or None
    except (iso18245.MCCNotFound, iso18245.InvalidMCC):
        return None


def _country(block: RawBlock) -> Parsed:
    """Two letters are a state of the US, more are a country; online there is neither."""
    return Parsed(_of_each(block.text("merchant_state"), _country_of), source_column="merchant_state")


@cache
def _country_of(state: str) -> str | None:
    if len(state) == 2:
        return "US"
    if state in _COUNTRIES_BY_OTHER_NAMES:
        return _COUNTRIES_BY_OTHER_NAMES[state]
    try:
        return pycountry.countries.lookup(state).alpha_2
    except LookupError:
        return None


def _region(block: RawBlock) -> Parsed:
    """The state; also what was to be a country and is none that we know."""
    return Parsed(_of_each(block.text("merchant_state"), _region_of), source_column="merchant_state")


def _region_of(state: str) -> str | None:
    return state if len(state) == 2 or _country_of(state) is None else None


def _is_approved(block: RawBlock) -> Parsed:
    """Without an error; unknown where the file has no such column."""
    values = block.text("errors")
    if "errors" not in block.table.column_names:
        return Parsed(pa.nulls(len(values), pa.bool_()))
    return Parsed(pc.is_null(values), source_column="errors")


def _decline_reason(block: RawBlock) -> Parsed:
    return Parsed(_of_each(block.text("errors"), _reasons), source_column="errors")


def _reasons(errors: str) -> str:
    """All of them, in the source's order."""
    words = [word.strip() for word in errors.split(",")]
    return ",".join(_DECLINE_REASONS.get(word, word.lower().replace(" ", "_")) for word in words if word)


def _of_card(column: str) -> Parser:
    return lambda block: Parsed(joined(block.text("card_id"), block.references.cards, column), source_column="card_id")


def _gender(block: RawBlock) -> Parsed:
    return Parsed(joined(block.text("client_id"), block.references.users, "gender"), source_column="client_id")


def _age_band(block: RawBlock) -> Parsed:
    """By the age in the month of the event."""
    born = joined(block.text("client_id"), block.references.users, "birth_month")
    moments = _DATE(block).values
    now = pc.add(pc.multiply(pc.year(moments), 12), pc.subtract(pc.month(moments), 1))
    years = pc.divide(pc.subtract(now, born), 12)
    band = pc.if_else(pc.less(years, _ADULT_AGE_BANDS[0][0]), "0-17", pa.scalar(None, pa.string()))
    for years_from, name in _ADULT_AGE_BANDS:
        band = pc.if_else(pc.greater_equal(years, years_from), name, band)
    return Parsed(band, source_column="client_id")


_DATE = instant_or_serial_date("date")

CARD_TRANSACTIONS = SourceAdapter(
    name="card_transactions",
    required=("id", "date", "client_id", "card_id", "amount", "use_chip", "merchant_id"),
    columns={
        "transaction_id": text("id"),
        "event_type": _event_type,
        "event_timestamp": _DATE,
        "customer_id": text("client_id"),
        "gender": _gender,
        "age_band": _age_band,
        "merchant_id": text("merchant_id"),
        "merchant_segment": _segment,
        "mcc": _MCC,
        "merchant_country": _country,
        "merchant_region": _region,
        "merchant_postal_code": _padded("zip", 5),
        "amount_minor": money("amount", currency=constant("USD"), spelled=_unsigned),
        "currency": constant("USD"),
        "weight": fixed_point("amount", spelled=_unsigned),
        "card_token": _of_card("card_token"),
        "card_bin6": _of_card("card_bin6"),
        "card_last4": _of_card("card_last4"),
        "card_network": _of_card("card_network"),
        "payment_solution": constant("card"),
        "entry_mode": labelled("use_chip", _ENTRY_MODES),
        "city": text("merchant_city", unknown="ONLINE"),
        "is_approved": _is_approved,
        "decline_reason": _decline_reason,
    },
)

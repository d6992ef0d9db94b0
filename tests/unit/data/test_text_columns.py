"""Integers as text: identifiers, money, instants, check digits."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.card_numbers import check_digits
from data.text_columns import base36, base36_text, decimals, instants, money


@given(st.lists(st.integers(-1, 36**7 - 1), max_size=20))
def test_base36_can_be_read_back(numbers):
    texts = base36(np.array(numbers, dtype=np.int64), "T", 7).to_pylist()
    assert [-1 if text is None else int(text[1:], 36) for text in texts] == numbers
    assert all(text is None or (text[0] == "T" and len(text) == 8) for text in texts)


def test_base36_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="does not fit into 2 base-36 digits"):
        base36(np.array([36**2]), "X", 2)


@given(st.integers(0, 10**15))
def test_base36_text_can_be_read_back(number):
    assert int(base36_text(number), 36) == number


@given(st.lists(st.tuples(st.integers(0, 10**15), st.sampled_from([0, 2, 3])), min_size=1, max_size=20))
def test_money_is_exact_and_has_the_currencys_places(pairs):
    minor, exponents = np.array(pairs, dtype=np.int64).T
    texts = money(minor, exponents).to_pylist()
    units = [Decimal(text).scaleb(places) for text, (_, places) in zip(texts, pairs, strict=True)]
    assert units == minor.tolist()
    assert [-Decimal(text).as_tuple().exponent for text in texts] == exponents.tolist()


def test_decimals_can_be_negative_and_unknown():
    column = decimals(np.array([-5, 10_000, 7]), 4, np.array([True, True, False]))
    assert column.cast("string").to_pylist() == ["-0.0005", "1.0000", None]


def test_instants_have_milliseconds_and_zone():
    assert instants(np.array([0, 1_793_491_200_007])).to_pylist() == [
        "1970-01-01T00:00:00.000Z",
        "2026-11-01T00:00:00.007Z",
    ]


@pytest.mark.parametrize(
    ("payload", "check"),
    [("7992739871", 3), ("411111111111111", 1), ("37828224631000", 5)],
)
def test_luhn_check_digit_of_published_examples(payload, check):
    assert check_digits(np.array([[int(digit) for digit in payload]])).tolist() == [check]

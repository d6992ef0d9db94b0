"""The reference lists agree with the public registers and with themselves."""

import iso18245
import numpy as np
import pycountry
import pytest

from data.reference.geography import load_geography
from data.reference.rhythms import COMMUTER, RHYTHMS
from data.reference.segments import NAME_STEMS, SEGMENTS


def test_countries_and_currencies_exist():
    geography = load_geography()
    assert all(pycountry.countries.get(alpha_2=country) for country in geography.countries)
    assert all(pycountry.currencies.get(alpha_3=currency) for currency in geography.currencies)
    assert geography.shares.sum() == pytest.approx(1)
    assert set(geography.city_countries.tolist()) == set(range(len(geography.countries)))


def test_exponents_are_those_of_iso_4217():
    geography = load_geography()
    exponents = dict(zip(geography.currencies, geography.exponents.tolist(), strict=True))
    special = {"JPY": 0, "BHD": 3}
    assert exponents == {currency: special.get(currency, 2) for currency in exponents}
    assert exponents.keys() >= special.keys()


def test_coordinates_are_on_earth():
    farthest = np.abs(load_geography().city_coordinates).max(axis=0)
    assert (farthest < [90 * 10_000, 180 * 10_000]).all()


@pytest.mark.parametrize("segment", SEGMENTS, ids=lambda segment: segment.name)
def test_merchant_category_codes_exist(segment):
    assert [iso18245.get_mcc(code).mcc for code in segment.mccs] == list(segment.mccs)


def test_names_need_no_quotes():
    words = [*NAME_STEMS, *(noun for segment in SEGMENTS for noun in segment.nouns), *load_geography().cities]
    assert not any(set(word) & set(',"\r\n') for word in words)
    assert len(set(NAME_STEMS)) == len(NAME_STEMS)


def test_rhythms_share_out_everybody():
    assert sum(rhythm.share for rhythm in RHYTHMS) == pytest.approx(1)
    assert all(len(rhythm.hours) == 24 for rhythm in RHYTHMS)
    assert RHYTHMS[COMMUTER].name == "commuter"

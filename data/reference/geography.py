"""Countries, their currencies and cities, read from the CSV files beside this module."""

import csv
from dataclasses import dataclass
from importlib import resources

import numpy as np


@dataclass(frozen=True, slots=True)
class Geography:
    """Countries and cities as parallel arrays; elsewhere a country or city is its position here.

    `currencies[i]`, `exponents[i]` (ISO 4217 minor-unit digits), `minor_per_eur[i]` (how many are a euro),
    `utc_offset_hours[i]`, `shares[i]` (of customers) and `three_ds_shares[i]` describe `countries[i]`.
    `city_coordinates` is (cities, 2): latitude and longitude in 1/10,000 degree.
    """

    countries: tuple[str, ...]
    currencies: tuple[str, ...]
    exponents: np.ndarray
    minor_per_eur: np.ndarray
    utc_offset_hours: np.ndarray
    shares: np.ndarray
    three_ds_shares: np.ndarray
    cities: tuple[str, ...]
    city_countries: np.ndarray
    city_coordinates: np.ndarray


def load_geography() -> Geography:
    currencies = {row["currency"]: row for row in _rows("currencies.csv")}
    countries = _rows("countries.csv")
    cities = _rows("cities.csv")
    codes = [row["country"] for row in countries]
    of_country = [currencies[row["currency"]] for row in countries]
    coordinates = [[_ten_thousandths(row["lat"]), _ten_thousandths(row["lon"])] for row in cities]
    return Geography(
        countries=tuple(codes),
        currencies=tuple(row["currency"] for row in countries),
        exponents=np.array([int(row["exponent"]) for row in of_country]),
        minor_per_eur=np.array([int(row["minor_per_eur"]) for row in of_country]),
        utc_offset_hours=np.array([int(row["utc_offset_hours"]) for row in countries]),
        shares=np.array([float(row["share"]) for row in countries]),
        three_ds_shares=np.array([float(row["three_ds_share"]) for row in countries]),
        cities=tuple(row["city"] for row in cities),
        city_countries=np.array([codes.index(row["country"]) for row in cities]),
        city_coordinates=np.array(coordinates, dtype=np.int32),
    )


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _ten_thousandths(degrees: str) -> int:
    return round(float(degrees) * 10_000)

"""The merchants: their trade, country, prices and processor, and how a customer comes across one."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from data.events import Rng
from data.reference.geography import Geography
from data.reference.processors import PROCESSORS
from data.reference.segments import NAME_STEMS, SEGMENT_NAMES, SEGMENTS

MERCHANTS = 1_800
DOMINANT = 0  # one marketplace sells to every second customer; it is the first merchant
DOMINANT_NAME = "Agora Marketplace"
_POPULARITY_EXPONENT = 0.9  # Zipf's law within one trade and country
_WHEEL_SLOTS = 40  # of the most popular merchant of its trade and country


@dataclass(frozen=True, slots=True)
class Wheels:
    """Roulette wheels: wheel `i` is `size[i]` slots from `first[i]` on; likelier entries have more slots."""

    slots: np.ndarray
    first: np.ndarray
    size: np.ndarray

    @classmethod
    def build(cls, wheels: list[np.ndarray]) -> Self:
        size = np.array([len(wheel) for wheel in wheels])
        return cls(slots=np.concatenate(wheels), first=np.cumsum(size) - size, size=size)

    def spin(self, rng: Rng, which: np.ndarray) -> np.ndarray:
        """One entry from each of these wheels."""
        stop = rng.random(which.shape) * self.size[which]
        return self.slots[self.first[which] + stop.astype(np.int64)]


@dataclass(frozen=True)
class Merchants:
    """Parallel arrays over merchants, and wheels to find one by country and segment."""

    names: list[str]
    segment: np.ndarray
    mccs: list[str]
    country: np.ndarray
    city: np.ndarray
    online: np.ndarray
    price: np.ndarray  # level; 1 is usual for the segment
    processor: np.ndarray
    exponent: np.ndarray
    minor_per_eur: np.ndarray
    nearby: Wheels  # of country x segment
    online_anywhere: Wheels  # of segment
    shops_anywhere: np.ndarray  # one wheel of all that have a shop

    def find(self, rng: Rng, countries: np.ndarray, segments: np.ndarray) -> np.ndarray:
        """A merchant of the segment in the country by popularity; sometimes an online one from anywhere."""
        nearby = self.nearby.spin(rng, countries * len(SEGMENTS) + segments)
        anywhere = self.online_anywhere.spin(rng, segments)
        goes_far = rng.random(nearby.shape) < 0.5 * self.online[nearby]
        return np.where(goes_far, anywhere, nearby)

    @cached_property
    def refunds(self) -> np.ndarray:
        return np.array([segment.refunds for segment in SEGMENTS])[self.segment]

    @cached_property
    def risk(self) -> np.ndarray:
        return np.array([segment.risk for segment in SEGMENTS])[self.segment]

    @cached_property
    def day_fit(self) -> np.ndarray:
        """(merchants, 24): how well each local hour suits the merchant's trade, 0 to 1."""
        return np.repeat([segment.day_fit for segment in SEGMENTS], 4, axis=1)[self.segment]


def open_merchants(rng: Rng, geography: Geography) -> Merchants:
    """`MERCHANTS` merchants, give or take rounding: in every country at least one of every trade."""
    country, segment, rank = _where_and_what(geography)
    online = rng.random(len(country)) < np.array([each.online for each in SEGMENTS])[segment]
    online |= segment == SEGMENT_NAMES.index("digital_goods")
    online[DOMINANT] = True
    processor = rng.choice(len(PROCESSORS), len(country), p=[0.30, 0.15, 0.25, 0.15, 0.15])
    processor[DOMINANT] = 0
    price = rng.lognormal(0, 0.2, len(country))
    price[DOMINANT] = 1.0
    return Merchants(
        names=_names(rng, segment),
        segment=segment,
        mccs=[rng.choice(SEGMENTS[each].mccs) for each in segment],
        country=country,
        city=city_wheels(geography).spin(rng, country),
        online=online,
        price=price,
        processor=processor,
        exponent=geography.exponents[country],
        minor_per_eur=geography.minor_per_eur[country],
        **_wheels(country, segment, rank, online),
    )


def _where_and_what(geography: Geography) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Country, segment, and rank of popularity (from 0) within both, of all merchants."""
    weights = np.outer(geography.shares, [segment.merchants for segment in SEGMENTS])
    counts = np.maximum(1, np.rint(weights / weights.sum() * MERCHANTS)).astype(int).ravel()
    dominant = geography.countries.index("DE") * len(SEGMENTS) + SEGMENT_NAMES.index("marketplace")
    cell = np.concatenate([[dominant], np.repeat(np.arange(len(counts)), counts)])
    rank = np.concatenate([[0], *(np.arange(count) for count in counts)])
    return cell // len(SEGMENTS), cell % len(SEGMENTS), rank


def _wheels(country: np.ndarray, segment: np.ndarray, rank: np.ndarray, online: np.ndarray) -> dict:
    slots = np.ceil(_WHEEL_SLOTS / (1 + rank) ** _POPULARITY_EXPONENT).astype(int)
    slots[DOMINANT] = 0  # its customers come by habit, see `population`
    ids = np.repeat(np.arange(len(country)), slots)
    cell = (country * len(SEGMENTS) + segment)[ids]
    nearby = Wheels.build([ids[cell == each] for each in range((country.max() + 1) * len(SEGMENTS))])
    of_segment = [ids[segment[ids] == each] for each in range(len(SEGMENTS))]
    anywhere = [wheel[online[wheel]] if online[wheel].any() else wheel for wheel in of_segment]
    return {"nearby": nearby, "online_anywhere": Wheels.build(anywhere), "shops_anywhere": ids[~online[ids]]}


def city_wheels(geography: Geography) -> Wheels:
    """A wheel per country; the cities stand in `cities.csv` by size, so the earlier ones are likelier."""
    wheels = []
    for country in range(len(geography.countries)):
        cities = np.flatnonzero(geography.city_countries == country)
        wheels.append(np.repeat(cities, np.arange(len(cities), 0, -1)))
    return Wheels.build(wheels)


def _names(rng: Rng, segment: np.ndarray) -> list[str]:
    names = [""] * len(segment)
    for number, trade in enumerate(SEGMENTS):
        members = np.flatnonzero(segment == number)
        pairs = rng.permutation(len(NAME_STEMS) * len(trade.nouns))[: len(members)]
        for merchant, pair in zip(members.tolist(), pairs.tolist(), strict=True):
            names[merchant] = f"{NAME_STEMS[pair // len(trade.nouns)]} {trade.nouns[pair % len(trade.nouns)]}"
    names[DOMINANT] = DOMINANT_NAME
    return names

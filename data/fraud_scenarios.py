"""The five kinds of labelled fraud, as episodes of intended payments, to be decided like any other."""

from dataclasses import dataclass

import numpy as np

from data.events import Events, Rng, concatenate
from data.payments import draw_amounts, jitter, new_devices, pick_cards, route
from data.population import CUSTOMERS, Population
from data.reference.segments import SEGMENT_NAMES, SEGMENTS
from data.rhythm import DAY_MS, drift
from data.vocabulary import EntryMode, Scenario, Solution

# Episodes begun per 10,000 legitimate payments, and 30 % more of each after 35 days.
EPISODES_PER_10_000 = {
    Scenario.CARD_TESTING: 1.1,
    Scenario.STOLEN_CARD: 6.0,
    Scenario.ACCOUNT_TAKEOVER: 6.0,
    Scenario.MERCHANT_RING: 0.6,
    Scenario.COLLUDING_MERCHANT: 1.2,
}
_GROWTH = 0.3
RINGS, RING_SIZE = 6, 14
COLLUDERS, CAPTIVES = 4, 30
_SHOPS_ONLY = [SEGMENT_NAMES.index("fuel"), SEGMENT_NAMES.index("restaurant")]
_SECOND_MS, _MINUTE_MS = 1_000, 60_000


@dataclass(frozen=True, slots=True)
class Underworld:
    """Who plays which part, for as long as the population lives."""

    ring_members: np.ndarray  # (RINGS, RING_SIZE) customers
    ring_targets: np.ndarray  # the merchant that each ring attacks
    colluders: np.ndarray  # merchants that put through payments nobody wants
    captives: np.ndarray  # (COLLUDERS, CAPTIVES) customers whose cards they use
    testing_grounds: np.ndarray  # digital merchants that do not look closely
    fences: np.ndarray  # online merchants whose goods sell again


@dataclass(frozen=True, slots=True)
class _Burst:
    """The payments of some episodes: which episode each belongs to, and when it is."""

    episode: np.ndarray
    at_ms: np.ndarray

    def __len__(self) -> int:
        return len(self.episode)


def recruit(population: Population, seed: int) -> Underworld:
    rng = np.random.default_rng([seed, 1])
    electronics = _online_merchants(population, "electronics", "home")
    sleepy = _online_merchants(population, "travel", "digital_goods", "gaming")
    members = rng.choice(CUSTOMERS, (RINGS, RING_SIZE), replace=False)
    return Underworld(
        ring_members=members,
        ring_targets=rng.choice(electronics, RINGS, replace=False),
        colluders=rng.choice(sleepy, COLLUDERS, replace=False),
        captives=rng.choice(CUSTOMERS, (COLLUDERS, CAPTIVES), replace=False),
        testing_grounds=rng.choice(_online_merchants(population, "digital_goods"), 12, replace=False),
        fences=_online_merchants(population, "electronics", "travel", "fashion", "marketplace"),
    )


def draw_frauds(
    rng: Rng, population: Population, underworld: Underworld, payments: Events, drift_from_ms: int
) -> Events:
    """Intended payments of the frauds that begin among these legitimate ones; some come up to a day later."""
    growth = 1 + _GROWTH * float(drift(payments.at_ms[:1], drift_from_ms)[0])
    played = [payments.take(slice(0, 0))]
    for scenario, per_10_000 in EPISODES_PER_10_000.items():
        expected = len(payments) * per_10_000 / 10_000 * growth
        episodes = int(expected) + int(rng.random() < expected % 1)
        if episodes:
            frauds = _PLAYS[scenario](rng, population, underworld, payments, episodes)
            played.append(frauds.with_columns(scenario=np.full(len(frauds), scenario)))
    return concatenate(played)


def _test(rng: Rng, population: Population, cast: Underworld, payments: Events, episodes: int) -> Events:
    """A bot tries stolen card numbers with tiny amounts at one careless digital merchant, seconds apart."""
    burst = _burst(rng, _begin(rng, payments, episodes), 25, 60, 7 * _SECOND_MS)
    merchant = rng.choice(cast.testing_grounds, episodes)[burst.episode]
    minor_per_eur = population.merchants.minor_per_eur[merchant]
    cents = rng.integers(40, 250, len(burst))
    return _online(
        rng, population, burst, episodes,
        customer=rng.integers(0, CUSTOMERS, len(burst)),
        merchant=merchant,
        amount_minor=np.maximum(1, cents * minor_per_eur // 100),
    )  # fmt: skip


def _use_stolen(rng: Rng, population: Population, _: Underworld, payments: Events, episodes: int) -> Events:
    """A copied card is used in shops far away while its holder still pays at home: impossible travel."""
    customers, merchants = population.customers, population.merchants
    at_home = np.flatnonzero((payments.entry_mode != EntryMode.ECOMMERCE) & (payments.device < 0))
    if len(at_home) == 0:
        return payments.take(at_home)
    anchor = payments.take(rng.choice(at_home, episodes))
    burst = _burst(rng, anchor.at_ms + rng.integers(10, 60, episodes) * _MINUTE_MS, 3, 8, 12 * _MINUTE_MS)
    customer = anchor.customer[burst.episode]
    town = _far_cities(rng, population, anchor.customer)
    country = population.geography.city_countries[town][burst.episode]
    merchant = merchants.nearby.spin(rng, country * len(SEGMENTS) + rng.choice(_SHOPS_ONLY, len(burst)))
    coordinates = jitter(rng, population.geography.city_coordinates[town[burst.episode]])
    swiped = rng.random(len(burst)) < 0.5
    return Events.of(
        at_ms=burst.at_ms,
        customer=customer,
        merchant=merchant,
        card=anchor.card[burst.episode],
        amount_minor=draw_amounts(rng, merchants, merchant, 2.0 * customers.spend[customer]),
        processor=route(rng, merchants, merchant),
        entry_mode=np.where(swiped, EntryMode.MAGSTRIPE, EntryMode.CONTACTLESS),
        solution=np.full(len(burst), Solution.CARD),
        city=town[burst.episode],
        lat=coordinates[:, 0],
        lon=coordinates[:, 1],
    )


def _take_over(rng: Rng, population: Population, cast: Underworld, payments: Events, episodes: int) -> Events:
    """Somebody signs in as the customer from a new device and buys what sells again, at high amounts."""
    burst = _burst(rng, _begin(rng, payments, episodes), 2, 6, 9 * _MINUTE_MS)
    customer = rng.integers(0, CUSTOMERS, episodes)[burst.episode]
    merchant = rng.choice(cast.fences, len(burst))
    level = 3.0 * population.customers.spend[customer]
    return _online(
        rng, population, burst, episodes,
        customer=customer,
        merchant=merchant,
        amount_minor=draw_amounts(rng, population.merchants, merchant, level),
    )  # fmt: skip


def _attack(rng: Rng, population: Population, cast: Underworld, payments: Events, episodes: int) -> Events:
    """Customers who know each other buy alike from one merchant within hours, to dispute it all later."""
    ring = rng.integers(0, RINGS, episodes)
    burst = _burst(rng, _begin(rng, payments, episodes), 25, 45, 4 * _MINUTE_MS)
    member = rng.integers(0, RING_SIZE, len(burst))
    merchant = cast.ring_targets[ring][burst.episode]
    target_minor = draw_amounts(rng, population.merchants, cast.ring_targets[ring], np.full(episodes, 1.5))[
        burst.episode
    ]
    events = _online(
        rng, population, burst, episodes,
        customer=cast.ring_members[ring[burst.episode], member],
        merchant=merchant,
        amount_minor=np.maximum(1, target_minor * rng.integers(85, 116, len(burst)) // 100),
    )  # fmt: skip
    shared = new_devices(rng, 3 * episodes)[3 * burst.episode + member % 3]  # the ring shares three phones
    return events.with_columns(device=shared, known_device=rng.random(len(burst)) < 0.5)


def _collude(rng: Rng, population: Population, cast: Underworld, payments: Events, episodes: int) -> Events:
    """A merchant keys in round amounts at night on cards it holds."""
    who = rng.integers(0, COLLUDERS, episodes)
    midnight = _begin(rng, payments, episodes) // DAY_MS * DAY_MS + DAY_MS
    burst = _burst(rng, midnight + rng.integers(0, 180, episodes) * _MINUTE_MS, 12, 25, 3 * _MINUTE_MS)
    merchant = cast.colluders[who][burst.episode]
    eur = rng.integers(1, 9, len(burst)) * 50
    events = _online(
        rng, population, burst, episodes,
        customer=cast.captives[who[burst.episode], rng.integers(0, CAPTIVES, len(burst))],
        merchant=merchant,
        amount_minor=eur * population.merchants.minor_per_eur[merchant],
    )  # fmt: skip
    nothing = np.full(len(burst), -1)
    return events.with_columns(
        entry_mode=np.full(len(burst), EntryMode.MANUAL), device=nothing, ip_country=nothing, city=nothing
    )


_PLAYS = {
    Scenario.CARD_TESTING: _test,
    Scenario.STOLEN_CARD: _use_stolen,
    Scenario.ACCOUNT_TAKEOVER: _take_over,
    Scenario.MERCHANT_RING: _attack,
    Scenario.COLLUDING_MERCHANT: _collude,
}


def _online(rng: Rng, population: Population, burst: _Burst, episodes: int, **columns: np.ndarray) -> Events:
    """Payments over the web by card from the attacker's own city and one unknown device per episode."""
    geography = population.geography
    city = rng.integers(0, len(geography.cities), episodes)[burst.episode]
    coordinates = jitter(rng, geography.city_coordinates[city])
    return Events.of(
        at_ms=burst.at_ms,
        card=pick_cards(rng, population, columns["customer"]),
        processor=route(rng, population.merchants, columns["merchant"]),
        entry_mode=np.full(len(burst), EntryMode.ECOMMERCE),
        solution=np.full(len(burst), Solution.CARD),
        device=new_devices(rng, episodes)[burst.episode],
        ip_country=geography.city_countries[city],
        city=city,
        lat=coordinates[:, 0],
        lon=coordinates[:, 1],
        **columns,
    )


def _begin(rng: Rng, payments: Events, episodes: int) -> np.ndarray:
    return rng.choice(payments.at_ms, episodes)


def _burst(rng: Rng, begins_ms: np.ndarray, fewest: int, most: int, mean_gap_ms: int) -> _Burst:
    """Between `fewest` and `most` payments per episode, with exponential gaps after each beginning."""
    lengths = rng.integers(fewest, most + 1, len(begins_ms))
    episode = np.repeat(np.arange(len(begins_ms)), lengths)
    gaps = 1 + rng.exponential(mean_gap_ms, len(episode)).astype(np.int64)
    elapsed = np.cumsum(gaps)
    before = np.concatenate([[0], elapsed])[np.cumsum(lengths) - lengths]
    return _Burst(episode, begins_ms[episode] + elapsed - before[episode])


def _far_cities(rng: Rng, population: Population, customer: np.ndarray) -> np.ndarray:
    """Of twelve cities of the world the one farthest from each customer's home (in degrees: enough here)."""
    geography, customers = population.geography, population.customers
    offers = rng.integers(0, len(geography.cities), (len(customer), 12))
    home = np.column_stack([customers.lat[customer], customers.lon[customer]])[:, None, :]
    distance = np.abs(geography.city_coordinates[offers] - home).sum(axis=2)
    return offers[np.arange(len(customer)), distance.argmax(axis=1)]


def _online_merchants(population: Population, *segments: str) -> np.ndarray:
    suits = np.isin(population.merchants.segment, [SEGMENT_NAMES.index(each) for each in segments])
    return np.flatnonzero(population.merchants.online & suits)

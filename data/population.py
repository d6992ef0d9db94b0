"""The customers: where they live, what they can spend, when and where they like to buy, and with what."""

from dataclasses import dataclass

import numpy as np

from data.cards import Cards, Issuers, found_issuers, hand_out_cards
from data.events import Rng
from data.merchants import DOMINANT, Merchants, city_wheels, open_merchants
from data.reference.geography import Geography, load_geography
from data.reference.rhythms import COMMUTER, RHYTHMS
from data.reference.segments import SEGMENT_NAMES, SEGMENTS
from data.vocabulary import AGE_BANDS, Gender

CUSTOMERS = 12_000
HABITS = 16  # merchants on a customer's list, of which each payment takes one; favourites are there often
DEVICES = 3  # devices a customer can have
REGULARS = 150  # have one coffee shop or transit line that they pay several times a day
BARGAIN_HUNTERS = 120  # buy cheap things from the dominant marketplace all the time, for the price alone
PAY_CYCLE_DAYS = 30
_REGULAR_HABITS = 12
_GENDER_SHARES = (0.495, 0.475, 0.03)  # female, male, unknown
_REGULARS_CURRENCIES = ("EUR", "GBP", "USD")


@dataclass(frozen=True, slots=True)
class Customers:
    """Parallel arrays over customers."""

    country: np.ndarray
    city: np.ndarray
    lat: np.ndarray  # of the home, 1/10,000 degree
    lon: np.ndarray
    gender: np.ndarray
    age_band: np.ndarray
    rhythm: np.ndarray  # position in `RHYTHMS`
    activity: np.ndarray  # relative number of payments
    spend: np.ndarray  # level; 1 is usual
    attachment_percent: np.ndarray  # weight of a payment as a customer-merchant edge, per amount
    liquidity: np.ndarray  # 0 is always broke, 1 never
    payday: np.ndarray  # day of their pay cycle, 0 to PAY_CYCLE_DAYS - 1
    wallet: np.ndarray  # -1, or the `Solution` of the wallet on their phone
    contactless: np.ndarray  # share of payments in shops
    devices: np.ndarray  # number of devices, 1 to DEVICES
    habits: np.ndarray  # (customers, HABITS) merchants


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody and everything that stays the same for one seed, however long the log is."""

    geography: Geography
    merchants: Merchants
    customers: Customers
    issuers: Issuers
    cards: Cards


def settle(seed: int) -> Population:
    """The population of this seed."""
    rng = np.random.default_rng([seed, 0])
    geography = load_geography()
    merchants = open_merchants(rng, geography)
    customers = _settle_customers(rng, geography, merchants)
    issuers = found_issuers(rng, geography)
    cards = hand_out_cards(rng, issuers, customers.country, customers.spend)
    return Population(geography, merchants, customers, issuers, cards)


def _settle_customers(rng: Rng, geography: Geography, merchants: Merchants) -> Customers:
    country = rng.choice(len(geography.countries), CUSTOMERS, p=geography.shares)
    city = city_wheels(geography).spin(rng, country)
    home = geography.city_coordinates[city] + rng.normal(0, 400, (CUSTOMERS, 2)).astype(np.int32)
    gender = rng.choice([Gender.F, Gender.M, -1], CUSTOMERS, p=_GENDER_SHARES)
    age_band = rng.choice(len(AGE_BANDS), CUSTOMERS, p=[0.13, 0.22, 0.2, 0.18, 0.15, 0.12])
    wallet = np.where(rng.random(CUSTOMERS) < 0.65 - 0.1 * age_band, rng.integers(1, 3, CUSTOMERS), -1)
    activity = rng.lognormal(0, 0.6, CUSTOMERS)
    spend = rng.lognormal(0, 0.35, CUSTOMERS) * (0.8 + 0.1 * age_band)
    attachment = rng.integers(60, 141, CUSTOMERS)
    habits = _habits(rng, merchants, country, gender)
    regulars, hunters = _devotees(rng, geography, country)
    _make_regulars(rng, merchants, regulars, country, habits, activity, spend)
    _make_bargain_hunters(rng, hunters, habits, activity, spend, attachment)
    rhythm = rng.choice(len(RHYTHMS), CUSTOMERS, p=[each.share for each in RHYTHMS])
    rhythm[regulars] = COMMUTER
    return Customers(
        country=country,
        city=city,
        lat=home[:, 0],
        lon=home[:, 1],
        gender=gender,
        age_band=age_band,
        rhythm=rhythm,
        activity=activity,
        spend=spend,
        attachment_percent=attachment,
        liquidity=rng.beta(3, 2, CUSTOMERS),
        payday=rng.integers(0, PAY_CYCLE_DAYS, CUSTOMERS),
        wallet=wallet,
        contactless=np.clip(rng.normal(0.8 - 0.06 * age_band, 0.15), 0.05, 0.98),
        devices=rng.choice(np.arange(1, DEVICES + 1), CUSTOMERS, p=[0.5, 0.38, 0.12]),
        habits=habits,
    )


def _habits(rng: Rng, merchants: Merchants, country: np.ndarray, gender: np.ndarray) -> np.ndarray:
    demand = np.array([segment.demand for segment in SEGMENTS])
    lean = np.array([segment.male_lean for segment in SEGMENTS])
    segments = np.empty((CUSTOMERS, HABITS), dtype=np.int64)
    for who, sign in ((-1, 0), (Gender.F, -1), (Gender.M, 1)):
        members = np.flatnonzero(gender == who)
        tilted = demand * (1 + sign * lean)
        segments[members] = rng.choice(len(SEGMENTS), (len(members), HABITS), p=tilted / tilted.sum())
    habits = merchants.find(rng, np.broadcast_to(country[:, None], segments.shape), segments)
    uses_marketplace = np.flatnonzero(rng.random(CUSTOMERS) < 0.5)
    share = np.minimum(HABITS - 2, 1 + rng.poisson(5.3, len(uses_marketplace)))
    for column in range(HABITS - 2):
        habits[uses_marketplace[column < share], column] = DOMINANT
    return habits


def _devotees(rng: Rng, geography: Geography, country: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    suits = np.isin(np.array(geography.currencies), _REGULARS_CURRENCIES)[country]
    regulars = rng.choice(np.flatnonzero(suits), REGULARS, replace=False)
    others = np.setdiff1d(np.arange(CUSTOMERS), regulars)
    return regulars, rng.choice(others, BARGAIN_HUNTERS, replace=False)


def _make_regulars(rng, merchants: Merchants, who, country, habits, activity, spend) -> None:
    segment = rng.choice([SEGMENT_NAMES.index("coffee"), SEGMENT_NAMES.index("transit")], len(who))
    habits[who, :_REGULAR_HABITS] = merchants.find(rng, country[who], segment)[:, None]
    activity[who] = 5.0 * rng.lognormal(0, 0.4, len(who))
    spend[who] = np.minimum(spend[who], 1.2)


def _make_bargain_hunters(rng, who, habits, activity, spend, attachment) -> None:
    habits[who, :_REGULAR_HABITS] = DOMINANT
    activity[who] = 3.0 * rng.lognormal(0, 0.3, len(who))
    spend[who] = 0.3
    attachment[who] = rng.integers(15, 31, len(who))

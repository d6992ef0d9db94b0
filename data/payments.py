"""Legitimate payments as their customers intend them: who pays whom, how much, with what, from where."""

import numpy as np

from data.events import Events, Rng
from data.merchants import Merchants
from data.population import DEVICES, HABITS, Population
from data.reference.processors import PROCESSORS
from data.reference.segments import SEGMENTS
from data.rhythm import drift, local_hour
from data.vocabulary import EntryMode, Solution

EXPLORING_SHARE = 0.05  # at a merchant that is no habit
ABROAD_SHARE = 0.012  # in a shop of any country
ON_THE_ROAD_SHARE = 0.015  # online from another city of the world
NEW_DEVICE_SHARE = 0.02
SECOND_PROCESSOR_SHARE = 0.06
PRICE_TAG_SHARE = 0.4
LARGEST_EUR = 15_000
_JITTER = 150  # standard deviation of a location, in 1/10,000 degree: about 1.5 km

_MEDIAN_EUR = np.array([segment.median_eur for segment in SEGMENTS])
_SPREAD = np.array([segment.spread for segment in SEGMENTS])
_WEB = (EntryMode.ECOMMERCE, EntryMode.MANUAL)
_WALLETS = (Solution.APPLE_PAY, Solution.GOOGLE_PAY)


def draw_payments(
    rng: Rng, population: Population, at_ms: np.ndarray, customer: np.ndarray, drift_from_ms: int
) -> Events:
    """One intended payment of each customer at each instant, without anything that its fate decides."""
    merchants, customers = population.merchants, population.customers
    progress = drift(at_ms, drift_from_ms)
    merchant = _choose_merchants(rng, population, at_ms, customer, progress)
    entry_mode, solution = _choose_means(rng, population, customer, merchant)
    city, coordinates = _locate(rng, population, customer, merchant, entry_mode)
    device, known_device = _choose_devices(rng, population, customer, entry_mode, solution)
    level = customers.spend[customer] * (1 + 0.02 * progress)
    has_ip = entry_mode == EntryMode.ECOMMERCE
    return Events.of(
        at_ms=at_ms,
        customer=customer,
        merchant=merchant,
        card=pick_cards(rng, population, customer),
        amount_minor=draw_amounts(rng, merchants, merchant, level),
        processor=route(rng, merchants, merchant),
        entry_mode=entry_mode,
        solution=solution,
        device=device,
        known_device=known_device,
        ip_country=np.where(has_ip, population.geography.city_countries[city], -1),
        city=city,
        lat=coordinates[:, 0],
        lon=coordinates[:, 1],
    )


def draw_amounts(rng: Rng, merchants: Merchants, merchant: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Minor units of the merchant's currency, log-normal around its trade's median times `level`."""
    segment = merchants.segment[merchant]
    spread = np.exp(_SPREAD[segment] * rng.standard_normal(len(merchant)))
    eur = np.minimum(_MEDIAN_EUR[segment] * merchants.price[merchant] * level * spread, LARGEST_EUR)
    minor = np.rint(eur * merchants.minor_per_eur[merchant]).astype(np.int64)
    tagged = minor - minor % 10 + np.where(merchants.exponent[merchant] == 0, 0, 9)  # 12.49, or 1240 yen
    is_tagged = rng.random(len(merchant), dtype=np.float32) < PRICE_TAG_SHARE
    return np.maximum(np.where(is_tagged, tagged, minor), 1)


def pick_cards(rng: Rng, population: Population, customer: np.ndarray) -> np.ndarray:
    """One of the customer's cards, mostly the first."""
    first, count = population.cards.first[customer], population.cards.count[customer]
    return first + (rng.random(len(customer)) ** 2.5 * count).astype(np.int64)


def route(rng: Rng, merchants: Merchants, merchant: np.ndarray) -> np.ndarray:
    """The merchant's processor; now and then the next one in the list, its second choice."""
    second = rng.random(len(merchant), dtype=np.float32) < SECOND_PROCESSOR_SHARE
    return (merchants.processor[merchant] + second) % len(PROCESSORS)


def jitter(rng: Rng, coordinates: np.ndarray) -> np.ndarray:
    """(n, 2) coordinates, each a short walk away."""
    return coordinates + (rng.standard_normal(coordinates.shape, dtype=np.float32) * _JITTER).astype(np.int32)


def new_devices(rng: Rng, count: int) -> np.ndarray:
    """Device numbers that no customer of the population has, of at most six base-36 digits."""
    return rng.integers(36**4, 36**6, count)


def _choose_merchants(rng, population, at_ms, customer, progress) -> np.ndarray:
    """Of two habits the first if it suits the hour, else the second; or something new. Ever more online."""
    merchants, customers = population.merchants, population.customers
    offsets = population.geography.utc_offset_hours[customers.country[customer]]
    first, second = customers.habits[customer, rng.integers(0, HABITS, (2, len(customer)))]
    lure = 1 + 0.2 * progress * merchants.online[first]
    fit = merchants.day_fit[first, local_hour(at_ms, offsets)] * lure
    merchant = np.where(rng.random(len(customer), dtype=np.float32) < fit, first, second)
    mood = rng.random(len(customer), dtype=np.float32)
    exploring = np.flatnonzero(mood < EXPLORING_SHARE)
    segments = rng.integers(0, len(SEGMENTS), len(exploring))
    merchant[exploring] = merchants.find(rng, customers.country[customer[exploring]], segments)
    abroad = np.flatnonzero(mood > 1 - ABROAD_SHARE)
    merchant[abroad] = rng.choice(merchants.shops_anywhere, len(abroad))
    return merchant


def _choose_means(rng, population, customer, merchant) -> tuple[np.ndarray, np.ndarray]:
    """Entry mode and payment solution, by the merchant's kind and the customer's phone and taste."""
    customers = population.customers
    online, wallet = population.merchants.online[merchant], customers.wallet[customer]
    how = rng.random(len(customer), dtype=np.float32)
    in_shop = np.where(how < customers.contactless[customer], EntryMode.CONTACTLESS, EntryMode.CHIP)
    in_shop = np.where(how > 0.98, EntryMode.MAGSTRIPE, in_shop)
    entry_mode = np.where(online, np.where(how > 0.98, EntryMode.MANUAL, EntryMode.ECOMMERCE), in_shop)
    taste = rng.random(len(customer), dtype=np.float32)
    web = entry_mode == EntryMode.ECOMMERCE
    solution = np.full(len(customer), Solution.CARD)
    solution[web & (taste < 0.20)] = Solution.PAYPAL
    solution[web & (taste < 0.07)] = Solution.CLICK_TO_PAY
    reach = np.where(web, 0.3, np.where(entry_mode == EntryMode.CONTACTLESS, 0.6, 0.0))
    by_wallet = (wallet >= 0) & (taste > 1 - reach)
    return entry_mode, np.where(by_wallet, wallet, solution)


def _locate(rng, population, customer, merchant, entry_mode) -> tuple[np.ndarray, np.ndarray]:
    """City and coordinates, mostly at home: chains have a branch in every city of their country."""
    customers, merchants, geography = population.customers, population.merchants, population.geography
    city = customers.city[customer].copy()
    coordinates = np.column_stack([customers.lat[customer], customers.lon[customer]])
    web = np.isin(entry_mode, _WEB)
    away = ~web & (merchants.country[merchant] != customers.country[customer])
    city[away] = merchants.city[merchant[away]]
    on_the_road = web & (rng.random(len(customer), dtype=np.float32) < ON_THE_ROAD_SHARE)
    city[on_the_road] = rng.integers(0, len(geography.cities), np.count_nonzero(on_the_road))
    coordinates[away | on_the_road] = geography.city_coordinates[city[away | on_the_road]]
    return city, jitter(rng, coordinates)


def _choose_devices(rng, population, customer, entry_mode, solution) -> tuple[np.ndarray, np.ndarray]:
    """The customer's device where one takes part (online, or a wallet in a shop), and whether it is known."""
    slot = (rng.random(len(customer)) ** 2 * population.customers.devices[customer]).astype(np.int64)
    device = customer * DEVICES + slot
    takes_part = (entry_mode == EntryMode.ECOMMERCE) | np.isin(solution, _WALLETS)
    new = takes_part & (rng.random(len(customer), dtype=np.float32) < NEW_DEVICE_SHARE)
    device[new] = new_devices(rng, np.count_nonzero(new))
    return np.where(takes_part, device, -1), takes_part & ~new

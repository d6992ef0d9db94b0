"""Issuers and the cards they gave to customers."""

from dataclasses import dataclass

import numpy as np

from data.card_numbers import draw_card_numbers
from data.events import Rng
from data.reference.geography import Geography
from data.vocabulary import Network

# The first four digits of test numbers that networks and gateways publish; two digits for the issuer follow.
TEST_PREFIXES = {
    Network.VISA: 4000,
    Network.MASTERCARD: 5555,
    Network.AMEX: 3782,
    Network.DISCOVER: 6011,
    Network.JCB: 3530,
    Network.UNIONPAY: 6200,
}
LENGTHS = {Network.AMEX: 15}  # the others have 16; UnionPay has up to 19
CARDS_PER_CUSTOMER = (0.35, 0.35, 0.20, 0.10)
FOREIGN_ISSUER_SHARE = 0.06
EXPIRED_SHARE = 0.006

_ISSUER_NETWORKS = (
    (Network.VISA, 0.30),
    (Network.VISA, 0.18),
    (Network.MASTERCARD, 0.28),
    (Network.MASTERCARD, 0.16),
    (Network.AMEX, 0.06),
    (Network.UNIONPAY, 0.02),
)
_DOMESTIC_NETWORKS = {"US": Network.DISCOVER, "JP": Network.JCB}  # instead of the second Visa issuer


@dataclass(frozen=True, slots=True)
class Issuers:
    """Parallel arrays over issuers; country `c` has the issuers `c * per_country` and up."""

    countries: np.ndarray
    networks: np.ndarray
    bins: np.ndarray
    failure: np.ndarray  # share of requests it does not answer
    strictness: np.ndarray  # share it declines without a stated reason
    per_country: int
    shares: np.ndarray


@dataclass(frozen=True, slots=True)
class Cards:
    """Parallel arrays over cards; customer `i` holds `count[i]` from `first[i]` on, favourite first."""

    numbers: list[str]
    issuer: np.ndarray
    network: np.ndarray
    issuer_country: np.ndarray
    expired: np.ndarray
    limit_eur: np.ndarray
    first: np.ndarray
    count: np.ndarray


def found_issuers(rng: Rng, geography: Geography) -> Issuers:
    countries, networks, bins = [], [], []
    founded = dict.fromkeys(Network, 0)
    for country, code in enumerate(geography.countries):
        for slot, (network, _) in enumerate(_ISSUER_NETWORKS):
            network = _DOMESTIC_NETWORKS.get(code, network) if slot == 1 else network
            countries.append(country)
            networks.append(network)
            bins.append(TEST_PREFIXES[network] * 100 + founded[network])
            founded[network] += 1
    count = len(bins)
    return Issuers(
        countries=np.array(countries),
        networks=np.array(networks),
        bins=np.array(bins),
        failure=rng.uniform(0.001, 0.008, count),
        strictness=rng.uniform(0.005, 0.035, count),
        per_country=len(_ISSUER_NETWORKS),
        shares=np.array([share for _, share in _ISSUER_NETWORKS]),
    )


def hand_out_cards(rng: Rng, issuers: Issuers, customer_countries: np.ndarray, spend: np.ndarray) -> Cards:
    """One to four cards for each customer, mostly of issuers at home; limits grow with `spend`."""
    count = 1 + rng.choice(len(CARDS_PER_CUSTOMER), len(customer_countries), p=CARDS_PER_CUSTOMER)
    owner = np.repeat(np.arange(len(count)), count)
    country = customer_countries[owner]
    abroad = rng.random(len(owner)) < FOREIGN_ISSUER_SHARE
    country = np.where(abroad, customer_countries[rng.integers(0, len(count), len(owner))], country)
    slot = rng.choice(issuers.per_country, len(owner), p=issuers.shares)
    issuer = country * issuers.per_country + slot
    network = issuers.networks[issuer]
    lengths = np.array([LENGTHS.get(each, 16) for each in Network])[network]
    lengths = np.where(network == Network.UNIONPAY, rng.integers(16, 20, len(owner)), lengths)
    return Cards(
        numbers=draw_card_numbers(rng, issuers.bins[issuer], lengths),
        issuer=issuer,
        network=network,
        issuer_country=issuers.countries[issuer],
        expired=rng.random(len(owner)) < EXPIRED_SHARE,
        limit_eur=rng.choice([300.0, 600.0, 1200.0, 2500.0, 6000.0], len(owner)) * spend[owner],
        first=np.cumsum(count) - count,
        count=count,
    )

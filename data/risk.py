"""What is known of a payment's risk before it is decided: device trust, 3-D Secure, fraud and AML scores."""

import numpy as np

from data.events import Events, Rng
from data.population import Population
from data.rhythm import local_hour
from data.vocabulary import EntryMode, Scenario, Solution, ThreeDs

_TEN_THOUSANDTHS = 10_000
_EXEMPT_BELOW_EUR = 30  # low-value exemption of PSD2 strong customer authentication (EU 2018/389, article 16)

# By scenario, with the legitimate payment last, so that scenario -1 finds it.
_FRAUD_LOG_ODDS = np.array([2.4, 2.0, 1.4, 1.4, 0.8, 0.0])
_AML_LOG_ODDS = np.array([0.3, 0.3, 0.6, 1.6, 3.0, 0.0])
_PASSES_CHALLENGE = np.array([0.05, 0.08, 0.55, 0.95, 0.95, 0.94])


def assess(rng: Rng, population: Population, payments: Events) -> Events:
    """The payments with their device trust, fraud and AML scores (0 to 10,000) and 3-D Secure outcome."""
    merchants, customers = population.merchants, population.customers
    home = customers.country[payments.customer]
    eur = payments.amount_minor / merchants.minor_per_eur[payments.merchant]
    foreign_ip = (payments.ip_country >= 0) & (payments.ip_country != home)
    foreign_shop = (payments.ip_country < 0) & (merchants.country[payments.merchant] != home)
    unknown_device = (payments.device >= 0) & ~payments.known_device
    hour = local_hour(payments.at_ms, population.geography.utc_offset_hours[home])
    relative = np.log(eur / (30 * customers.spend[payments.customer]))
    fraud = _score(
        rng,
        -4.6
        + merchants.risk[payments.merchant]
        + 0.9 * foreign_ip
        + 0.6 * foreign_shop
        + 1.1 * unknown_device
        + 0.35 * relative
        + 0.4 * (hour < 6)
        + 0.5 * (payments.entry_mode == EntryMode.MAGSTRIPE)
        + _FRAUD_LOG_ODDS[payments.scenario],
    )
    round_amount = payments.amount_minor % (50 * merchants.minor_per_eur[payments.merchant]) == 0
    aml_signs = 0.5 * relative + 0.5 * foreign_ip + 0.8 * round_amount
    aml = _score(rng, -4.0 + aml_signs + _AML_LOG_ODDS[payments.scenario])
    return payments.with_columns(
        device_trust=_trust(rng, payments),
        fraud_score=fraud,
        aml_score=aml,
        three_ds=_authenticate(rng, population, payments, eur, fraud),
    )


def _score(rng: Rng, log_odds: np.ndarray) -> np.ndarray:
    noisy = log_odds + 1.2 * rng.standard_normal(len(log_odds))
    return np.rint(_TEN_THOUSANDTHS / (1 + np.exp(-noisy)))


def _trust(rng: Rng, payments: Events) -> np.ndarray:
    drawn = rng.random(len(payments), dtype=np.float32)
    trust = np.where(payments.known_device, 0.55 + 0.44 * np.sqrt(drawn), 0.05 + 0.5 * drawn)
    return np.where(payments.device >= 0, np.rint(trust * _TEN_THOUSANDTHS), -1)


def _authenticate(
    rng: Rng, population: Population, payments: Events, eur: np.ndarray, fraud_score: np.ndarray
) -> np.ndarray:
    """A `ThreeDs` per payment, -1 where it was not asked for: it depends on the issuer's country."""
    share = population.geography.three_ds_shares[population.cards.issuer_country[payments.card]]
    share = np.where(eur < _EXEMPT_BELOW_EUR, 0.5 * share, share)
    share = np.where(payments.scenario == Scenario.CARD_TESTING, 0.1 * share, share)
    eligible = (payments.entry_mode == EntryMode.ECOMMERCE) & (payments.solution == Solution.CARD)
    asked, challenged, passed, gave_up = rng.random((4, len(payments)), dtype=np.float32)
    outcome = np.where(gave_up < 0.6, ThreeDs.ABANDONED, ThreeDs.CHALLENGE_FAILED)
    outcome = np.where(passed < _PASSES_CHALLENGE[payments.scenario], ThreeDs.CHALLENGE_PASSED, outcome)
    frictionless = challenged > 0.15 + 0.8 * fraud_score / _TEN_THOUSANDTHS
    outcome = np.where(frictionless, ThreeDs.FRICTIONLESS, outcome)
    return np.where(eligible & (asked < share), outcome, -1)

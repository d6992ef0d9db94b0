"""How an issuer and a processor answer: approval or the reason of a decline, latency, fees, retries."""

import numpy as np

from data.events import Events, Rng, Serials, no_events
from data.population import PAY_CYCLE_DAYS, Population
from data.reference.processors import AUTHORISATION_EUR_CENTS, CROSS_BORDER_BPS, PROCESSORS
from data.rhythm import DAY_MS, HOUR_MS
from data.vocabulary import Decline, EntryMode, Scenario, ThreeDs

MOST_ATTEMPTS = 4
_INCIDENT_SHARE = 0.012  # of a processor's hours
_INCIDENT_SEED = 20260927

_FAILURE = np.array([each.failure for each in PROCESSORS])
_LATENCY_MS = np.array([each.latency_ms for each in PROCESSORS])
_DUAL_MESSAGE = np.array([each.dual_message for each in PROCESSORS])
_PRICE_BPS = np.array([each.price_bps for each in PROCESSORS])
_PRICE_EUR_CENTS = np.array([each.price_eur_cents for each in PROCESSORS])

# Per reason of a decline: who tries again; after how long (median and log-normal sigma); and how likely that
# works, which rises with the delay towards `ceiling` on the scale of `patience`.
_RETRIES = {
    #                               share  median_s  sigma  ceiling  patience_s
    Decline.AUTHENTICATION_FAILED: (0.45, 60, 0.8, 0.70, 20),
    Decline.SUSPECTED_FRAUD: (0.10, 300, 1.0, 0.05, 3_600),
    Decline.INVALID_CVV: (0.60, 40, 0.6, 0.80, 10),
    Decline.EXPIRED_CARD: (0.05, 120, 0.8, 0.02, 3_600),
    Decline.LIMIT_EXCEEDED: (0.25, 43_000, 1.0, 0.60, 60_000),
    Decline.INSUFFICIENT_FUNDS: (0.40, 21_600, 1.5, 0.65, 43_000),
    Decline.ISSUER_UNAVAILABLE: (0.75, 90, 1.2, 0.90, 60),
    Decline.DO_NOT_HONOUR: (0.35, 180, 1.0, 0.35, 60),
}
_RETRY_SHARE, _MEDIAN_S, _SIGMA, _CEILING, _PATIENCE_S = np.array([_RETRIES[reason] for reason in Decline]).T


def decide(rng: Rng, population: Population, payments: Events) -> Events:
    """The assessed payments with approval or decline reason, latency and fee."""
    incident = _incidents(payments)
    decline = np.full(len(payments), -1)
    causes = _causes_of_decline(population, payments, incident)
    drawn = rng.random((len(causes), len(payments)), dtype=np.float32)
    for (reason, probability), luck in zip(reversed(causes), drawn, strict=True):
        decline[luck < probability] = reason  # the cause named first wins
    decided = payments.with_columns(decline=decline, approved=decline < 0)
    return decided.with_columns(
        latency_ms=_latency(rng, population, decided, incident),
        fee_minor=authorisation_fees(population, decided),
    )


def retry(rng: Rng, population: Population, declined: Events, serials: Serials) -> list[Events]:
    """The attempts after these declined ones, at most `MOST_ATTEMPTS` in all."""
    rounds = []
    for attempt in range(2, MOST_ATTEMPTS + 1):
        share = _RETRY_SHARE[declined.decline] * np.where(declined.scenario >= 0, 0.3, 1.0)
        failed = declined.take(rng.random(len(declined)) < share)
        if len(failed) == 0:
            break
        spread = np.exp(_SIGMA[failed.decline] * rng.standard_normal(len(failed)))
        delay_s = 1 + _MEDIAN_S[failed.decline] * spread
        works = _CEILING[failed.decline] * (1 - np.exp(-delay_s / _PATIENCE_S[failed.decline]))
        approved = rng.random(len(failed)) < works
        again = failed.with_columns(
            serial=serials(len(failed)),
            retry_of=failed.serial,
            attempt=np.full(len(failed), attempt),
            at_ms=failed.at_ms + np.minimum(delay_s * 1_000, 5 * DAY_MS).astype(np.int64),
            approved=approved,
            decline=np.where(approved, -1, failed.decline),
            three_ds=_second_authentication(failed, approved),
        )
        again = again.with_columns(
            latency_ms=_latency(rng, population, again, np.zeros(len(again))),
            fee_minor=authorisation_fees(population, again),
        )
        rounds.append(again)
        declined = again.take(~approved)
    return rounds or [no_events()]


def authorisation_fees(population: Population, events: Events) -> np.ndarray:
    """Minor units: the full price if the authorisation itself is settled, else a small one per message."""
    settles = events.approved & ~_DUAL_MESSAGE[events.processor]
    message = eur_cents(population, events, AUTHORISATION_EUR_CENTS)
    return np.where(settles, settlement_fees(population, events), message)


def settlement_fees(population: Population, events: Events) -> np.ndarray:
    """Minor units: the processor's share of the amount, more across borders, and its fixed price."""
    foreign = population.cards.issuer_country[events.card] != population.merchants.country[events.merchant]
    bps = _PRICE_BPS[events.processor] + CROSS_BORDER_BPS * foreign
    fixed = eur_cents(population, events, _PRICE_EUR_CENTS[events.processor])
    return events.amount_minor * bps // 10_000 + fixed


def eur_cents(population: Population, events: Events, cents: np.ndarray | int) -> np.ndarray:
    """An amount of euro cents in minor units of each event's currency, rounded down."""
    return cents * population.merchants.minor_per_eur[events.merchant] // 100


def _incidents(payments: Events) -> np.ndarray:
    """For each payment the share of requests its processor loses to an incident in that hour; mostly 0.

    Incidents belong to the hour, not to the log, so that any two simulations of one hour see the same ones.
    """
    if len(payments) == 0:
        return np.empty(0)
    hour = payments.at_ms // HOUR_MS
    first, last = int(hour.min()), int(hour.max())
    losses = np.empty((last - first + 1, len(PROCESSORS)))
    for row, each in enumerate(range(first, last + 1)):
        luck, severity = np.random.default_rng([_INCIDENT_SEED, each]).random((2, len(PROCESSORS)))
        losses[row] = np.where(luck < _INCIDENT_SHARE, 0.1 + 0.4 * severity, 0.0)
    return losses[hour - first, payments.processor]


def _causes_of_decline(
    population: Population, payments: Events, incident: np.ndarray
) -> list[tuple[Decline, np.ndarray]]:
    """Each reason's own probability, in the order in which they are checked."""
    customers, cards, issuers = population.customers, population.cards, population.issuers
    customer, card, issuer = payments.customer, payments.card, cards.issuer[payments.card]
    eur = payments.amount_minor / population.merchants.minor_per_eur[payments.merchant]
    score = payments.fraud_score / 10_000
    keyed = np.isin(payments.entry_mode, (EntryMode.ECOMMERCE, EntryMode.MANUAL))
    testing = payments.scenario == Scenario.CARD_TESTING
    doubt = np.where(payments.three_ds >= 0, 0.6, 1.0)  # issuers trust an authenticated payment more
    days_since_payday = (payments.at_ms // DAY_MS - customers.payday[customer]) % PAY_CYCLE_DAYS
    ebb = (1.1 - customers.liquidity[customer]) * (0.4 + days_since_payday / 25)
    strain = eur / (40 * customers.spend[customer]) * ebb
    return [
        (Decline.AUTHENTICATION_FAILED, payments.three_ds >= ThreeDs.CHALLENGE_FAILED),
        (Decline.SUSPECTED_FRAUD, doubt * np.clip(1.5 * (score - 0.45), 0.0, 0.85)),
        (Decline.INVALID_CVV, np.where(testing, 0.35, 0.004 * keyed)),
        (Decline.EXPIRED_CARD, 0.9 * cards.expired[card]),
        (Decline.LIMIT_EXCEEDED, np.clip(0.8 * (eur / cards.limit_eur[card] - 0.6), 0.0, 0.9)),
        (Decline.INSUFFICIENT_FUNDS, np.clip(0.03 * strain, 0.0, 0.6)),
        (Decline.ISSUER_UNAVAILABLE, issuers.failure[issuer] + _FAILURE[payments.processor] + incident),
        (Decline.DO_NOT_HONOUR, doubt * issuers.strictness[issuer] + 0.25 * testing),
    ]


def _latency(rng: Rng, population: Population, events: Events, incident: np.ndarray) -> np.ndarray:
    """Milliseconds: longer in busy hours and incidents, across borders, with 3-D Secure or a time-out."""
    busy = 1 + 0.35 * np.sin((events.at_ms // HOUR_MS % 24 - 9) * np.pi / 12)  # peaks at 15:00 UTC
    foreign = population.cards.issuer_country[events.card] != population.merchants.country[events.merchant]
    base = _LATENCY_MS[events.processor] * busy * (1 + 5 * incident) * (1 + 0.3 * foreign)
    drawn = base * np.exp(0.25 * rng.standard_normal(len(events), dtype=np.float32))
    three_ds = np.array([120, 900, 900, 900, 0])[events.three_ds]  # a challenge takes a person's time
    return np.rint(drawn + three_ds + 2_500 * (events.decline == Decline.ISSUER_UNAVAILABLE))


def _second_authentication(failed: Events, approved: np.ndarray) -> np.ndarray:
    was_cause = failed.decline == Decline.AUTHENTICATION_FAILED
    return np.where(was_cause & approved, ThreeDs.CHALLENGE_PASSED, failed.three_ds)

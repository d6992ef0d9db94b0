"""What becomes of approved payments later: captures, reversals, refunds and chargebacks."""

import numpy as np

from data.authorisation import eur_cents, settlement_fees
from data.events import Events, Rng, Serials, concatenate
from data.population import Population
from data.reference.processors import CHARGEBACK_EUR_CENTS, PROCESSORS, REFUND_EUR_CENTS
from data.rhythm import DAY_MS
from data.vocabulary import EventType

_MINUTE_MS = 60_000
_DUAL_MESSAGE = np.array([each.dual_message for each in PROCESSORS])
_REVERSED_SHARE = 0.008
_PARTLY_CAPTURED_SHARE = 0.05
_CAPTURED_AT_ONCE_SHARE = 0.4  # within half an hour; the rest when the goods leave, up to two days later
_PARTLY_REFUNDED_SHARE = 0.3
_AUTHENTICATED_FACTOR = 0.3  # fewer chargebacks reach a merchant who used 3-D Secure: the issuer is liable

# Share of approved payments charged back, by scenario; legitimate ones last, where scenario -1 finds them.
_CHARGED_BACK = np.array([0.2, 0.6, 0.55, 0.8, 0.2, 0.0008])


def follow_up(rng: Rng, population: Population, approved: Events, serials: Serials) -> Events:
    """All later events of these approved authorisations.

    A reversal voids the whole payment at once. Otherwise dual-message processors capture, and then some
    payments are refunded, wholly or partly, or charged back in whole; never both, and never more than was
    captured.
    """
    reversed_ = rng.random(len(approved)) < _REVERSED_SHARE
    reversals = _reverse(rng, approved.take(reversed_))
    kept = approved.take(~reversed_)
    dual = _DUAL_MESSAGE[kept.processor]
    captures = _capture(rng, population, kept.take(dual))
    settled = concatenate([kept.take(~dual), captures])
    refunded = rng.random(len(settled)) < population.merchants.refunds[settled.merchant]
    refunds = _refund(rng, population, settled.take(refunded))
    rest = settled.take(~refunded)
    authenticated = np.where(rest.three_ds >= 0, _AUTHENTICATED_FACTOR, 1.0)
    charged_back = rng.random(len(rest)) < _CHARGED_BACK[rest.scenario] * authenticated
    chargebacks = _charge_back(rng, population, rest.take(charged_back))
    later = concatenate([reversals, captures, refunds, chargebacks])
    return later.with_columns(serial=serials(len(later)))


def _later(events: Events, kind: EventType, delay_ms: np.ndarray, latency_ms: np.ndarray) -> Events:
    """Events of this kind about these authorisations or captures, without what only those know."""
    unknown = np.full(len(events), -1)
    return events.with_columns(
        kind=np.full(len(events), kind),
        original=np.where(events.original >= 0, events.original, events.serial),
        retry_of=unknown,
        attempt=np.ones(len(events)),
        at_ms=events.at_ms + 1 + delay_ms.astype(np.int64),
        device=unknown,
        device_trust=unknown,
        ip_country=unknown,
        city=unknown,
        fraud_score=unknown,
        aml_score=unknown,
        latency_ms=latency_ms,
    )


def _reverse(rng: Rng, events: Events) -> Events:
    delay = rng.exponential(20 * _MINUTE_MS, len(events))
    voided = _later(events, EventType.REVERSAL, delay, rng.integers(30, 120, len(events)))
    return voided.with_columns(fee_minor=np.zeros(len(events)))


def _capture(rng: Rng, population: Population, events: Events) -> Events:
    at_once = rng.random(len(events)) < _CAPTURED_AT_ONCE_SHARE
    minutes = np.where(at_once, rng.uniform(1, 30, len(events)), rng.uniform(240, 2_880, len(events)))
    partly = rng.random(len(events)) < _PARTLY_CAPTURED_SHARE
    percent = np.where(partly, rng.integers(50, 100, len(events)), 100)
    captures = _later(events, EventType.CAPTURE, minutes * _MINUTE_MS, rng.integers(20, 90, len(events)))
    captures = captures.with_columns(amount_minor=_percent_of(events.amount_minor, percent))
    return captures.with_columns(fee_minor=settlement_fees(population, captures))


def _refund(rng: Rng, population: Population, events: Events) -> Events:
    delay = np.minimum(rng.lognormal(np.log(4), 0.9, len(events)), 30) * DAY_MS
    partly = rng.random(len(events)) < _PARTLY_REFUNDED_SHARE
    percent = np.where(partly, rng.integers(10, 100, len(events)), 100)
    refunds = _later(events, EventType.REFUND, delay, rng.integers(40, 200, len(events)))
    return refunds.with_columns(
        amount_minor=_percent_of(events.amount_minor, percent),
        fee_minor=eur_cents(population, events, REFUND_EUR_CENTS),
    )


def _charge_back(rng: Rng, population: Population, events: Events) -> Events:
    delay = (2 + np.minimum(rng.lognormal(np.log(7), 0.6, len(events)), 43)) * DAY_MS
    disputes = _later(events, EventType.CHARGEBACK, delay, rng.integers(40, 200, len(events)))
    return disputes.with_columns(fee_minor=eur_cents(population, events, CHARGEBACK_EUR_CENTS))


def _percent_of(amount_minor: np.ndarray, percent: np.ndarray) -> np.ndarray:
    return np.maximum(1, amount_minor * percent // 100)

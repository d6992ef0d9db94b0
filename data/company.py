"""The simulated company as a clockwork: a population whose events come out slice by slice of time."""

import numpy as np

from data.authorisation import decide, retry
from data.backlog import Backlog
from data.events import Events, concatenate, no_events
from data.fraud_scenarios import draw_frauds, recruit
from data.lifecycle import follow_up
from data.payments import draw_payments
from data.population import settle
from data.rhythm import Pace, Rhythm
from data.risk import assess


class Company:
    """One history of one company. The same arguments and the same calls of `advance` give the same events.

    `seed` decides who exists; `run` tells different histories of the same people apart. `drift_from_ms` is
    when the slow drift of habits begins. Events are numbered from 0 in `serial`.
    """

    def __init__(self, seed: int, run: int, drift_from_ms: int) -> None:
        self.population = settle(seed)
        self._underworld = recruit(self.population, seed)
        self._rhythm = Rhythm(self.population)
        self._rng = np.random.default_rng([seed, 2, run])
        self._drift_from_ms = drift_from_ms
        self._backlog = Backlog()
        self._next_serial = 0
        self._rows_per_payment = 1.1  # events that a new payment brings in its own slice; learnt as we go

    def pace(self, start_ms: int, end_ms: int) -> Pace:
        return self._rhythm.pace(start_ms, end_ms, self._drift_from_ms)

    def advance(self, start_ms: int, end_ms: int, rows_wanted: int) -> Events:
        """The events from `start_ms` until before `end_ms`, in time order, and about as many as wanted.

        What earlier slices made due comes first; new payments make up the rest. Slices must not overlap or go
        back in time.
        """
        due = self._backlog.pop_before(end_ms)
        payments = round(max(0, rows_wanted - len(due)) / self._rows_per_payment)
        if payments == 0:
            return _in_order(due)
        created = self._new_events(start_ms, end_ms, payments)
        now = created.at_ms < end_ms
        self._backlog.add(created.take(~now))
        self._rows_per_payment += 0.5 * (np.count_nonzero(now) / payments - self._rows_per_payment)
        return _in_order(concatenate([due, created.take(now)]))

    def _new_events(self, start_ms: int, end_ms: int, payments: int) -> Events:
        """New payments of the slice with all that will ever come of them."""
        rng, population = self._rng, self.population
        at_ms = self.pace(start_ms, end_ms).draw(rng, payments)
        customer = self._rhythm.customers_about(rng, at_ms)
        intended = draw_payments(rng, population, at_ms, customer, self._drift_from_ms)
        frauds = draw_frauds(rng, population, self._underworld, intended, self._drift_from_ms)
        intended = concatenate([intended, frauds])
        intended = intended.with_columns(serial=self._serials(len(intended)))
        first = decide(rng, population, assess(rng, population, intended))
        attempts = concatenate([first, *retry(rng, population, first.take(~first.approved), self._serials)])
        later = follow_up(rng, population, attempts.take(attempts.approved), self._serials)
        return concatenate([attempts, later])

    def _serials(self, count: int) -> np.ndarray:
        first, self._next_serial = self._next_serial, self._next_serial + count
        return np.arange(first, self._next_serial)


def _in_order(events: Events) -> Events:
    return events.take(np.argsort(events.at_ms, kind="stable")) if len(events) else no_events()

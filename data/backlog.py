"""Events that are already certain but still to come: tomorrow's captures, next week's refunds."""

import numpy as np

from data.events import Events, concatenate, no_events

MOST_WAITING = 500_000  # bounds memory, at about 100 bytes each; a log of 35 days has 1 % of its rows waiting
_HORIZON_MS = 60_000


class Backlog:
    """Events waiting for their time, split in two so that frequent small steps touch only the next minute's.

    Beyond `most_waiting` the events farthest off are forgotten.
    """

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most_waiting = most_waiting
        self._soon = no_events()  # before the horizon
        self._later: list[Events] = []
        self._horizon_ms = 0

    def add(self, events: Events) -> None:
        self._later.append(events.take(events.at_ms >= self._horizon_ms))
        self._soon = concatenate([self._soon, events.take(events.at_ms < self._horizon_ms)])

    def pop_before(self, end_ms: int) -> Events:
        """Removes and returns, in no order, the events due before `end_ms`."""
        if end_ms > self._horizon_ms:
            self._move_horizon(end_ms + _HORIZON_MS)
        due = self._soon.at_ms < end_ms
        popped, self._soon = self._soon.take(due), self._soon.take(~due)
        return popped

    def _move_horizon(self, horizon_ms: int) -> None:
        later = concatenate([*self._later, no_events()])
        near = later.at_ms < horizon_ms
        self._soon = concatenate([self._soon, later.take(near)])
        later = later.take(~near)
        if len(later) > self._most_waiting:
            later = later.take(np.argsort(later.at_ms, kind="stable")[: self._most_waiting])
        self._later, self._horizon_ms = [later], horizon_ms

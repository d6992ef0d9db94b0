"""When people pay: the week's ups and downs, and who is about at a given hour."""

import numpy as np

from data.events import Rng
from data.merchants import Wheels
from data.population import Population
from data.reference.rhythms import RHYTHMS

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_HOURS_PER_WEEK = 168
_EPOCH_HOUR_OF_WEEK = 3 * 24  # 1970-01-01 was a Thursday; the week begins on Monday
_GROUP_SLOTS = 2_048
_ACTIVITY_SLOTS = 12  # on the wheel, of a customer of average activity
GROWTH = 0.10  # volume gained over the drift


class Rhythm:
    """The population's week. Customers of one day rhythm and UTC offset are active at the same hours."""

    def __init__(self, population: Population) -> None:
        customers = population.customers
        offsets = population.geography.utc_offset_hours
        offset_of_group, rhythm_of_group, members = [], [], []
        relative = customers.activity / customers.activity.mean()
        slots = np.maximum(1, np.rint(relative * _ACTIVITY_SLOTS)).astype(int)
        for offset in np.unique(offsets):
            for rhythm in range(len(RHYTHMS)):
                group = np.flatnonzero((offsets[customers.country] == offset) & (customers.rhythm == rhythm))
                if len(group):
                    offset_of_group.append(offset)
                    rhythm_of_group.append(rhythm)
                    members.append(np.repeat(group, slots[group]))
        self._members = Wheels.build(members)
        activity = self._members.size[:, None] * _weeks(offset_of_group, rhythm_of_group)
        self._intensity = activity.sum(axis=0) / activity.sum(axis=0).mean()
        bounds = np.cumsum(activity, axis=0) / activity.sum(axis=0)
        spots = (np.arange(_GROUP_SLOTS) + 0.5) / _GROUP_SLOTS
        self._groups = np.array([np.searchsorted(bounds[:, hour], spots) for hour in range(_HOURS_PER_WEEK)])

    def customers_about(self, rng: Rng, at_ms: np.ndarray) -> np.ndarray:
        """A customer for each instant, likelier the more active they are at that hour of the week."""
        slot = rng.integers(0, _GROUP_SLOTS, len(at_ms))
        return self._members.spin(rng, self._groups[hour_of_week(at_ms), slot])

    def pace(self, start_ms: int, end_ms: int, drift_from_ms: int) -> "Pace":
        """The flow of payments over an interval, by hour."""
        inner = np.arange(start_ms // HOUR_MS + 1, -(-end_ms // HOUR_MS)) * HOUR_MS
        edges = np.concatenate([[start_ms], inner, [end_ms]])
        growth = 1 + GROWTH * drift(edges[:-1], drift_from_ms)
        intensity = self._intensity[hour_of_week(edges[:-1])] * growth
        flow = np.concatenate([[0.0], np.cumsum(intensity * np.diff(edges))])
        return Pace(edges, flow / flow[-1])


class Pace:
    """A piecewise constant flow over an interval, as its cumulative share from 0 to 1."""

    def __init__(self, edges_ms: np.ndarray, share: np.ndarray) -> None:
        self._edges_ms, self._share = edges_ms, share

    def share_before(self, at_ms: int) -> float:
        return float(np.interp(at_ms, self._edges_ms, self._share))

    def draw(self, rng: Rng, count: int) -> np.ndarray:
        """Instants (ms) in the interval, its end excluded, by inverting the cumulative flow."""
        drawn = np.interp(rng.random(count), self._share, self._edges_ms).astype(np.int64)
        return np.minimum(drawn, self._edges_ms[-1] - 1)


def hour_of_week(at_ms: np.ndarray, utc_offset_hours: np.ndarray | int = 0) -> np.ndarray:
    """0 is Monday, 00:00 to 00:59."""
    return (at_ms // HOUR_MS + _EPOCH_HOUR_OF_WEEK + utc_offset_hours) % _HOURS_PER_WEEK


def local_hour(at_ms: np.ndarray, utc_offset_hours: np.ndarray) -> np.ndarray:
    return (at_ms // HOUR_MS + utc_offset_hours) % 24


def drift(at_ms: np.ndarray, from_ms: int) -> np.ndarray:
    """How far the world has moved on: 0 at `from_ms`, 1 from 35 days later."""
    return np.clip((at_ms - from_ms) / (35 * DAY_MS), 0.0, 1.0)


def _weeks(offsets: list[int], rhythms: list[int]) -> np.ndarray:
    """(groups, hours of the UTC week): each group's relative activity; all rhythms have the same total."""
    weeks = []
    for offset, rhythm in zip(offsets, rhythms, strict=True):
        hours = RHYTHMS[rhythm].hours
        week = np.concatenate([np.tile(hours, 5), np.tile(hours, 2) * RHYTHMS[rhythm].weekend])
        weeks.append(np.roll(week / week.sum(), -offset))
    return np.array(weeks)

"""The backlog gives back every event once, at its time, however the steps fall."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.backlog import Backlog
from data.events import Events


def due_at(*at_ms: int) -> Events:
    return Events.of(at_ms=np.array(at_ms, dtype=np.int64))


@given(
    waiting=st.lists(st.integers(0, 200_000), max_size=30),
    steps=st.lists(st.integers(1, 90_000), min_size=1, max_size=10),
)
def test_pops_exactly_what_is_due(waiting, steps):
    backlog, now, popped = Backlog(), 0, []
    backlog.add(due_at(*waiting))
    for step in steps:
        now += step
        due = backlog.pop_before(now).at_ms.tolist()
        assert all(now - step <= at_ms < now for at_ms in due)
        popped += due
        backlog.add(due_at(now + 1))
        waiting = [*waiting, now + 1]
    assert sorted(popped) == sorted(at_ms for at_ms in waiting if at_ms < now)


def test_forgets_the_farthest_when_full():
    backlog = Backlog(most_waiting=2)
    backlog.add(due_at(500_000, 100_000, 300_000))
    backlog.pop_before(1)
    assert sorted(backlog.pop_before(1_000_000).at_ms.tolist()) == [100_000, 300_000]

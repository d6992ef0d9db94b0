"""Stopwatches."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from statistics import median
from typing import TypeVar

T = TypeVar("T")


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Seconds that a call took, and what it returned."""
    started = time.perf_counter()
    found = function()
    return time.perf_counter() - started, found


def repeat(function: Callable[[], object], times: int, warm_ups: int = 1) -> list[float]:
    """Seconds of each call, after some that do not count."""
    return [timed(function)[0] for _ in range(warm_ups + times)][warm_ups:]


@contextmanager
def stages(*functions: tuple[object, str]) -> Iterator[dict[str, list[float]]]:
    """Notes how long each call of the named functions of a module or class takes, while the block runs.

    They may contain each other. What the code no longer has is left out.
    """
    originals = [(owner, name, getattr(owner, name)) for owner, name in functions if hasattr(owner, name)]
    seconds: dict[str, list[float]] = {name: [] for _, name, _ in originals}

    def watched(name: str, function: Callable[..., object]) -> Callable[..., object]:
        @wraps(function)
        def call(*arguments: object, **named: object) -> object:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                seconds[name].append(time.perf_counter() - started)

        return call

    for owner, name, function in originals:
        setattr(owner, name, watched(name, function))
    try:
        yield seconds
    finally:
        for owner, name, function in originals:
            setattr(owner, name, function)


def per_unit_ms(seconds: Mapping[str, Sequence[float]], units: int) -> dict[str, float]:
    """Median milliseconds that each stage took per unit of work, of which there were so many one after the other."""
    found = {}
    for name, spent in seconds.items():
        calls, rest = divmod(len(spent), units)
        if calls and not rest:
            found[name] = median_ms([sum(spent[unit * calls : (unit + 1) * calls]) for unit in range(units)])
        elif spent:
            found[f"{name} (mean)"] = round(sum(spent) / units * 1000, 1)
    return found


def median_ms(seconds: Sequence[float]) -> float:
    return round(median(seconds) * 1000, 1)

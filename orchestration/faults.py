"""Dying on purpose: fault tests name the commit point after which a real process kills itself."""

import os
import signal
from collections.abc import Callable

from expectations.settings import Settings


def commit_points(settings: Settings) -> Callable[[str], None]:
    """What is told every commit point: nothing happens, unless TOLLGATE_FAULT_POINT names the one.

    `chunk` dies at the first time that point is passed, `chunk:3` at the third.
    """
    if settings.fault_point is None:
        return lambda point: None
    name, _, count = settings.fault_point.partition(":")
    left = [int(count or 1)]

    def passed(point: str) -> None:
        if point == name:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return passed

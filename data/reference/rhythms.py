"""The hours people keep. All figures are invented."""

from typing import NamedTuple


class DayRhythm(NamedTuple):
    """The `share` of customers who live so; their activity by local hour, and at weekends (1 is usual)."""

    name: str
    share: float
    hours: tuple[int, ...]
    weekend: float


RHYTHMS = (
    DayRhythm("commuter", share=0.35, weekend=0.6, hours=(
        1, 1, 1, 1, 2, 6, 22, 40, 34, 16, 12, 16, 24, 18, 14, 16, 26, 40, 38, 28, 18, 12, 7, 3)),
    DayRhythm("office", share=0.30, weekend=1.1, hours=(
        2, 1, 1, 1, 1, 2, 6, 14, 18, 16, 18, 26, 42, 36, 18, 16, 18, 24, 32, 36, 32, 24, 14, 6)),
    DayRhythm("homebody", share=0.22, weekend=1.0, hours=(
        1, 1, 1, 1, 1, 3, 6, 12, 22, 34, 38, 36, 30, 26, 28, 30, 28, 24, 18, 14, 10, 7, 4, 2)),
    DayRhythm("night_owl", share=0.13, weekend=1.25, hours=(
        26, 20, 14, 8, 4, 2, 2, 3, 5, 7, 9, 11, 13, 14, 15, 16, 18, 20, 22, 26, 30, 34, 36, 32)),
)  # fmt: skip
COMMUTER = 0

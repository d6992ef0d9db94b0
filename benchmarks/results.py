"""What a benchmark hands back: figures, what they are held against, and the verdict."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum


class Skipped(Exception):
    """A benchmark cannot run here; says why."""


class Judged(StrEnum):
    """Which number the limits apply to."""

    OURS = "ours"
    COST = "ours / baseline"
    SPEED_UP = "baseline / ours"


@dataclass(frozen=True)
class Limit:
    """What is asked for: `required` at least, `aim` if possible. A speed-up is to be above, all else below."""

    judged: Judged
    required: float
    aim: float


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
        what: what was measured, on how much, how often.
        unit: of `ours` and `baseline`.
        ours: our figure; the median where it was measured several times.
        baseline: the same of what we are held against.
        baseline_name: what that is.
        limit: what is asked for; None for a line that only informs.
        details: more figures, and the conditions.
    """

    what: str
    unit: str
    ours: float
    baseline: float
    baseline_name: str
    limit: Limit | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    def figure(self, judged: Judged) -> float:
        """The number that a limit applies to."""
        return {
            Judged.OURS: self.ours,
            Judged.COST: self.ours / self.baseline,
            Judged.SPEED_UP: self.baseline / self.ours,
        }[judged]

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        figure, sign = self.figure(self.limit.judged), -1 if self.limit.judged is Judged.SPEED_UP else 1
        if figure * sign <= self.limit.aim * sign:
            return "aim met"
        return "met" if figure * sign <= self.limit.required * sign else "MISSED"

    def to_json(self) -> dict[str, object]:
        return asdict(self) | {"ours / baseline": self.figure(Judged.COST), "verdict": self.verdict}

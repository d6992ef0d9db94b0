"""What a check found, without Dagster: the pure steps return these, and thin wrappers report them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Figure = int | float | str


@dataclass(frozen=True)
class Outcome:
    """One check's verdict on one asset.

    Attributes:
        asset: the asset's name.
        check: the check's name.
        passed: the verdict.
        summary: one sentence: what was compared, and how it came out.
        figures: the numbers behind it.
    """

    asset: str
    check: str
    passed: bool
    summary: str
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckDeclaration:
    """A check that exists: what it is called, what it promises, and whether it gates what is downstream."""

    asset: str
    check: str
    description: str
    is_blocking: bool = True

    def outcome(self, passed: bool, summary: str, **figures: Figure) -> Outcome:
        """A verdict of this check."""
        return Outcome(self.asset, self.check, passed, summary, figures)

"""Approving a business day that is blocked by tolerance, and by nothing else."""

from datetime import date, datetime
from pathlib import Path

from expectations.catalog import Lake
from expectations.errors import TollgateError
from orchestration.finance import gate
from orchestration.finance.business_day import failed_checks, read_verdict
from orchestration.finance.signatures import Approval, approve, load_key, read_approvals, store_approval


class NothingToApprove(TollgateError):
    """A day is not blocked, or by what no signature can lift."""


def approve_day(lake: Lake, day: date, reason: str, key: Path | None, registry: Path, now: datetime) -> Approval:
    """Adds a signature under the newest attempt at a day: the maker's first, then the checker's.

    Args:
        lake: where the day is staged.
        day: the business day.
        reason: why it may be published.
        key: file of the private key; None gives an unsigned approval, which counts in a demo only.
        registry: of public keys.
        now: when.

    Raises:
        NothingToApprove: the day is not blocked, or by more than tolerance.
    """
    blocking = _liftable(sorted(check.check for check in failed_checks(lake, day)), day)
    # What is blocked by tolerance was judged, so there is a verdict.
    staged = read_verdict(lake, day).staged
    earlier = read_approvals(lake, day, staged)
    signed = approve(day, staged, blocking, reason, load_key(key) if key else None, registry, now, earlier)
    store_approval(lake, signed)
    return signed


def _liftable(failed: list[str], day: date) -> list[str]:
    if not failed:
        raise NothingToApprove(f"{day} is not blocked", remedy="`tollgate finance days` shows what is")
    hard = sorted({*failed} - gate.LIFTABLE)
    if hard:
        raise NothingToApprove(
            f"{day} is blocked by {', '.join(hard)}", remedy="no signature lifts that: its cause must go"
        )
    return failed

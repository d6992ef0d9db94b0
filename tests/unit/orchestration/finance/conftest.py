"""What the tests of finance share."""

import pytest

from orchestration.finance import business_day
from orchestration.finance.gate import RESULT_SATISFIES, STAGING_SATISFIES


@pytest.fixture(autouse=True)
def quick_contract(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Great Expectations takes a second per day: only tests that are marked `slow_contract` wait for it."""
    if not request.node.get_closest_marker("slow_contract"):
        monkeypatch.setattr(business_day, "check_staging", lambda *_: STAGING_SATISFIES.outcome(True, "not looked at"))
        monkeypatch.setattr(business_day, "check_result", lambda *_: RESULT_SATISFIES.outcome(True, "not looked at"))

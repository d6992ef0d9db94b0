"""A publication of a business day killed by SIGKILL at each of its commit points, and two that race. Real processes."""

import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from expectations.catalog import Lake
from orchestration.finance import business_day
from orchestration.finance.chain import read_chain
from orchestration.finance.gate import RESULT_SATISFIES, STAGING_SATISFIES
from orchestration.finance.verify import verify
from orchestration.query import run_query
from tests.support.finance import DAY, Books, payments, plain_day
from tests.support.processes import TIMEOUT_SECONDS, clean_environment

pytestmark = pytest.mark.fault

NEXT = DAY + timedelta(days=1)
ROOT = Path(__file__).parents[2]
PUBLISH = """
import sys
from pathlib import Path
from expectations.catalog import Lake
from expectations.settings import load_settings
from orchestration.faults import commit_points
from tests.support.finance import DAY, Books
Books(Lake(Path(sys.argv[1])), passed=commit_points(load_settings())).publisher.publish(DAY, "a late payment")
"""
POINTS = ("finance files", "manifest", "head", "signed", "finance manifest", "current", "mart built", "mart")


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two audited days, and a restatement of the first that only needs to be published."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(business_day, "check_staging", lambda *_: STAGING_SATISFIES.outcome(True, "not looked at"))
        patch.setattr(business_day, "check_result", lambda *_: RESULT_SATISFIES.outcome(True, "not looked at"))
        books = Books(Lake(tmp_path_factory.mktemp("staged") / "lake"))
        books.open()
        platform, bank = plain_day(DAY)
        books.run(platform, bank)
        books.run(*plain_day(NEXT), day=NEXT)
        books.freeze(payments(*platform.to_pylist(), {"transaction_id": "T9"}), bank)
        books.judge()
    return books.lake.root


def start(lake: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PUBLISH, str(lake)],
        cwd=ROOT,
        env=clean_environment() | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def proof(lake: Path) -> dict[str, bytes]:
    """Everything that is kept for ever, and what readers see."""
    folders = (lake / "finance" / "chain", lake / "finance" / "digests", lake / "marts")
    return {
        str(path.relative_to(lake)): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".json", ".bin", ".parquet") and not path.name.startswith(".")
    }


def seen(lake: Path) -> list[tuple]:
    found = run_query(
        Lake(lake),
        "SELECT business_date, version, status, sum(payments) AS payments FROM finance.audited_day_status "
        "GROUP BY ALL ORDER BY ALL",
    )
    settled = run_query(
        Lake(lake),
        "SELECT business_date, sum(payments)::BIGINT AS n FROM finance.audited_daily_settlement GROUP BY 1 ORDER BY 1",
    )
    return [tuple(row.values()) for row in (*found.to_pylist(), *settled.to_pylist())]


OLD = [(DAY, 1, "audited", 3), (NEXT, 1, "audited", 3), (DAY, 3), (NEXT, 3)]
NEW = [(DAY, 2, "restated", 4), (NEXT, 1, "stale", 3), (DAY, 4), (NEXT, 3)]


@pytest.fixture(scope="module")
def undisturbed(staged: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    lake = tmp_path_factory.mktemp("undisturbed") / "lake"
    shutil.copytree(staged, lake)
    assert start(lake).wait(TIMEOUT_SECONDS) == 0
    assert seen(lake) == NEW
    return proof(lake)


@pytest.mark.parametrize("point", POINTS)
def test_readers_see_the_old_version_or_the_new_one(
    point: str, staged: Path, undisturbed: dict[str, bytes], tmp_path: Path
):
    lake = tmp_path / "lake"
    shutil.copytree(staged, lake)
    assert seen(lake) == OLD
    killed = start(lake, TOLLGATE_FAULT_POINT=point)
    assert killed.wait(TIMEOUT_SECONDS) == -signal.SIGKILL
    assert seen(lake) in (OLD, NEW)
    assert verify(Lake(lake)).findings == ()
    assert start(lake).wait(TIMEOUT_SECONDS) == 0
    assert seen(lake) == NEW
    # The views' paths are those of this folder.
    assert proof(lake) == undisturbed


def test_of_two_that_race_one_publishes(staged: Path, undisturbed: dict[str, bytes], tmp_path: Path):
    lake = tmp_path / "lake"
    shutil.copytree(staged, lake)
    racing = [start(lake) for _ in range(3)]
    outcomes = [(process.wait(TIMEOUT_SECONDS), process.stderr.read()) for process in racing]
    assert any(code == 0 for code, _ in outcomes)
    assert all(code == 0 or "ChainMoved" in error for code, error in outcomes)
    assert len(read_chain(Lake(lake))) == 4 and seen(lake) == NEW
    assert verify(Lake(lake)).findings == ()
    assert proof(lake) == undisturbed

"""BankSim, the real input: chunked, detected, equal to the naive recomputation, and published.

The file must not be part of the project. It is looked for in TOLLGATE_BANKSIM, else beside the repository.
"""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from expectations.catalog import Lake
from expectations.clock import frozen_clock
from expectations.settings import Settings
from expectations.thresholds import CHUNK_SIZE_ROWS, DETECTIONS_PER_FILE
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.follow import drain
from orchestration.detection.assemble import make_detector
from orchestration.medallion.gate import GOLD_VIEWS
from orchestration.medallion.increments import Medallion
from orchestration.medallion.quality import check_day, read_day
from orchestration.query import run_query
from spark_jobs.pattern_detector import stream
from tests.support_naive.lakes import outcome
from tests.support_naive.logs import landed_rows
from tests.support_naive.recomputation import recompute

_BESIDE = Path("shared", "data", "banksim", "bs140513_032310.csv.gz")
BANKSIM = Path(os.environ.get("TOLLGATE_BANKSIM") or Path(__file__).parents[2].parent / _BESIDE)

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(not BANKSIM.is_file(), reason=f"BankSim is not on this machine: no {BANKSIM}"),
]

LATER = datetime(2026, 7, 15, tzinfo=UTC)
"""After BankSim's last day: what lies in the future does not become silver."""

ROWS, CELLS = 594_643, 60


ZERO_AMOUNTS = 52


def test_banksim(spark, tmp_path):
    settings = Settings(lake=tmp_path / "lake", log=BANKSIM, frozen_clock=LATER)
    chunker, lake = make_chunker(settings), Lake(settings.lake)
    with chunker.alone():
        ticks = [*drain(chunker, is_final=True)]
    assert (len(ticks), sum(tick.rows for tick in ticks), ticks[-1].offset.is_final) == (CELLS, ROWS, True)
    [*stream.work_off(make_detector(settings, spark), "test")]
    found = outcome(lake)
    found.agrees_with(recompute(landed_rows(lake, CHUNK_SIZE_ROWS), CELLS))
    raised = Counter(row["action_type"] for row in found.detections)
    assert raised == {"UPGRADE": 89, "CHILD": 86, "DEI-NEEDED": 4}
    assert [content.count(b"\n") - 1 for content in found.files.values()] == [DETECTIONS_PER_FILE] * 3
    assert len(found.detections) - 3 * DETECTIONS_PER_FILE == 29
    through_the_medallion(lake)


def through_the_medallion(lake: Lake) -> None:
    """What BankSim does not say is null: views say so, none fails, and no gate is in its way."""
    publication = Medallion(lake, frozen_clock(LATER)).increment().publication
    assert publication.failed == () and publication.bronze_rows == ROWS
    reasons = run_query(lake, "SELECT reasons, count(*) AS rows FROM silver.payments_quarantine GROUP BY 1").to_pylist()
    assert reasons == [{"reasons": ["amount_not_positive"], "rows": ZERO_AMOUNTS}]
    rows = {view: run_query(lake, f"SELECT * FROM gold.{view}").num_rows for view in GOLD_VIEWS}
    silent = {"v_active_alerts", "v_top_decline_reasons", "v_decline_recovery_opportunities", "v_retry_performance"}
    assert {view for view, count in rows.items() if not count} == silent
    sql = "SELECT authorisations, approval_rate FROM gold.v_executive_kpis WHERE period = 'today' AND currency = 'ALL'"
    (today,) = run_query(lake, sql).to_pylist()
    assert today["authorisations"] > 3_000 and today["approval_rate"] is None
    outcomes = [*check_day(read_day(lake), lake)]
    assert all(outcome.passed for outcome in outcomes), outcomes

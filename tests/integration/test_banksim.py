"""BankSim, the real input: chunked, detected, and equal to the naive recomputation.

The file must not be part of the project. It is looked for in TOLLGATE_BANKSIM, else beside the repository.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from expectations.catalog import Lake
from expectations.settings import Settings
from expectations.thresholds import CHUNK_SIZE_ROWS, DETECTIONS_PER_FILE
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.follow import drain
from orchestration.detection.assemble import make_detector
from spark_jobs.pattern_detector import stream
from tests.support_naive.lakes import outcome
from tests.support_naive.logs import NOW, landed_rows
from tests.support_naive.recomputation import recompute

_BESIDE = Path("shared", "data", "banksim", "bs140513_032310.csv.gz")
BANKSIM = Path(os.environ.get("TOLLGATE_BANKSIM") or Path(__file__).parents[2].parent / _BESIDE)

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(not BANKSIM.is_file(), reason=f"BankSim is not on this machine: no {BANKSIM}"),
]

ROWS, CELLS = 594_643, 60


def test_banksim(spark, tmp_path):
    settings = Settings(lake=tmp_path / "lake", log=BANKSIM, frozen_clock=NOW)
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

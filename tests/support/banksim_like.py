"""A log in BankSim's format in which the detector finds all patterns, with the real thresholds."""

from pathlib import Path

import numpy as np

from expectations.catalog import Lake
from expectations.settings import Settings
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.follow import drain
from tests.support_naive.logs import NOW

ROWS, CHUNK_SIZE = 66_100, 600
"""Of such chunks the detector makes two micro-batches."""


def write_log(path: Path) -> None:
    """One merchant has most of the trade, and its most frequent customers pay least."""
    rng = np.random.default_rng(5)
    weights = np.where(np.arange(700) < 80, 5.0, 1.0)
    customer = rng.choice(700, ROWS, p=weights / weights.sum())
    merchant = np.where(rng.random(ROWS) < 0.83, 0, rng.integers(1, 9, ROWS))
    amount = np.where(customer < 80, rng.gamma(9, 2.2, ROWS), rng.gamma(9, 6.0, ROWS))
    lines = [
        f"{row // 400},'C{c}','{c % 7}','{'M' if c % 11 < 6 else 'F'}','28007','M{m}','28007','es_food',{a:.2f},0\n"
        for row, (c, m, a) in enumerate(zip(customer.tolist(), merchant.tolist(), amount.tolist(), strict=True))
    ]
    path.write_text("step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud\n" + "".join(lines))


def chunked_lake(folder: Path) -> tuple[Lake, int]:
    """A new lake in a folder, into which the log was worked, and how many cells that makes."""
    write_log(folder / "log.csv")
    settings = Settings(lake=folder / "lake", log=folder / "log.csv", chunk_size=CHUNK_SIZE, frozen_clock=NOW)
    chunker = make_chunker(settings)
    with chunker.alone():
        return chunker.lake, len([*drain(chunker, is_final=True)])

"""How big the benchmarks are: as the limits are meant for, or small enough for a smoke test."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The sizes of one run.

    Attributes:
        log_rows: rows of the company's log.
        deep_row: the row behind which it becomes interesting.
        ticks: how many ticks are timed.
        detector_cells: how many single-cell micro-batches are timed.
        backlog_repetitions: how many fresh Spark sessions work off BankSim.
        growth_chunks: how many chunks the lake grows by.
        silver_rows: payments in a long history; a short one has a tenth.
        refreshes: how many increments of the medallion are timed.
        ledger_rows: payments of a business day that are reconciled.
        audited_days: days in a chain that is verified.
        live_seconds: how long the live stack is watched.
    """

    is_quick: bool
    log_rows: int
    deep_row: int
    ticks: int
    detector_cells: int
    backlog_repetitions: int
    growth_chunks: int
    live_seconds: float
    silver_rows: int
    refreshes: int
    ledger_rows: int
    audited_days: int


FULL = Scale(
    is_quick=False,
    log_rows=5_500_000,
    deep_row=5_000_000,
    ticks=40,
    detector_cells=15,
    backlog_repetitions=3,
    growth_chunks=2_000,
    live_seconds=600,
    silver_rows=10_000_000,
    refreshes=20,
    ledger_rows=1_000_000,
    audited_days=365,
)
QUICK = Scale(
    is_quick=True,
    log_rows=550_000,
    deep_row=300_000,
    ticks=10,
    detector_cells=5,
    backlog_repetitions=1,
    growth_chunks=40,
    live_seconds=45,
    silver_rows=200_000,
    refreshes=4,
    ledger_rows=50_000,
    audited_days=20,
)

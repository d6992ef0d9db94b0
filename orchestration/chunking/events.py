"""The figures that the chunking flow shows with its assets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import median

import dagster as dg

from expectations.catalog import Lake
from orchestration.chunking.chunker import Tick
from orchestration.money import display
from orchestration.reporting import materialization


@dataclass(frozen=True)
class Totals:
    """What some ticks did together."""

    ticks: tuple[Tick, ...] = ()
    rows: int = 0
    quarantined: int = 0
    amount_minor: Mapping[str, int] = field(default_factory=dict)
    quarantined_minor: Mapping[str, int] = field(default_factory=dict)
    newest_event_at: datetime | None = None

    def plus(self, tick: Tick) -> "Totals":
        newest = [moment for moment in (self.newest_event_at, tick.newest_event_at) if moment]
        return replace(
            self,
            ticks=(*self.ticks, tick),
            rows=self.rows + tick.rows,
            quarantined=self.quarantined + tick.quarantined,
            amount_minor=_add(self.amount_minor, tick.amount_minor),
            quarantined_minor=_add(self.quarantined_minor, tick.quarantined_minor),
            newest_event_at=max(newest, default=None),
        )


def materializations(totals: Totals, lake: Lake) -> Iterator[dg.AssetMaterialization]:
    """One per asset of the flow."""
    entries = totals.rows + totals.quarantined
    yield materialization("landing_chunks", _landing_figures(totals, entries, lake))
    yield materialization(
        "source_quarantine",
        {
            "dagster/row_count": totals.quarantined,
            "entries read": entries,
            "amount": display(totals.quarantined_minor) or "none readable",
            "path": dg.MetadataValue.path(str(lake.table("source_quarantine"))),
        },
    )
    yield materialization(
        "payments_raw_bronze",
        {
            "dagster/row_count": totals.rows,
            "amount": display(totals.amount_minor),
            "newest event": str(totals.newest_event_at or "none"),
            "path": dg.MetadataValue.path(str(lake.table("payments_raw_bronze"))),
        },
    )


def _landing_figures(totals: Totals, entries: int, lake: Lake) -> dict[str, dg.MetadataValue | int | float | str]:
    figures: dict[str, dg.MetadataValue | int | float | str] = {
        "entries in": entries,
        "rows out": totals.rows,
        "quarantined": totals.quarantined,
        "chunks": len(totals.ticks),
        "amount": display(totals.amount_minor),
        "path": dg.MetadataValue.path(str(lake.landing)),
    }
    if totals.ticks:
        last = totals.ticks[-1]
        figures |= {
            "last chunk": last.chunk.name,
            "offset (entries)": last.offset.entries,
            "offset (bytes)": last.offset.byte_offset,
            "tick ms (median)": round(median(tick.duration_s for tick in totals.ticks) * 1000, 1),
        }
    return figures


def _add(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {currency: left.get(currency, 0) + right.get(currency, 0) for currency in sorted({*left, *right})}

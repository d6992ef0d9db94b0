"""What the chain says readers should see: which files of which days, and where each day stands."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from expectations.catalog import Lake
from expectations.finance import AUDITED_DAY_STATUS, DAY_TABLES, PLATFORM_PAYMENTS
from orchestration.finance.chain import Link, current_days, stale_days
from orchestration.finance.files import DOMAIN as FINANCE
from orchestration.finance.files import write_table
from orchestration.mart import PublishedFile, Version, identified


def domain_version(lake: Lake, links: Sequence[Link], at: datetime | None = None) -> Version | None:
    """What the chain says readers should see, or should have seen at an instant; None before the first audited day."""
    links = [link for link in links if at is None or link.manifest.published_at <= at]
    days = [link for day, link in sorted(current_days(links).items()) if link.manifest.kind == "day"]
    if not days:
        return None
    files = {
        schema.name: tuple(
            PublishedFile(name=link.manifest.outputs[schema.name].file, rows=link.manifest.outputs[schema.name].rows)
            for link in days
        )
        for schema in DAY_TABLES
    }
    register = write_table(lake, day_register(links), AUDITED_DAY_STATUS)
    files[AUDITED_DAY_STATUS.name] = (PublishedFile(name=register.file, rows=register.rows),)
    return identified(
        Version(
            domain=FINANCE,
            as_of=None,
            is_live=False,
            published_at=links[-1].manifest.published_at,
            bronze_rows=0,
            newest_event_at=None,
            ledger=links[-1].hash,
            files=files,
        )
    )


def day_register(links: Sequence[Link]) -> pa.Table:
    """A line for every audited day, as `AUDITED_DAY_STATUS`: it follows from the chain alone."""
    stale = stale_days(links)
    rows = []
    for day, link in sorted(current_days(links).items()):
        manifest = link.manifest
        if manifest.kind != "day":
            continue
        rows.append(
            {
                "business_date": day,
                "status": "stale" if day in stale else "restated" if manifest.version > 1 else "audited",
                "version": manifest.version,
                "published_at": manifest.published_at,
                "reason": manifest.reason,
                "payments": manifest.inputs["platform"].tables[PLATFORM_PAYMENTS.name].rows,
                "open_breaks": open_breaks(manifest.totals),
                "approvals": len(manifest.approvals),
                "sequence": manifest.sequence,
                "manifest_hash": link.hash,
            }
        )
    return pa.Table.from_pylist(rows, AUDITED_DAY_STATUS.arrow())


def open_breaks(day_totals: Mapping[str, Mapping[str, int]]) -> int:
    """How many breaks a day leaves open."""
    return sum(of_currency.get("open_breaks", 0) for of_currency in day_totals.values())

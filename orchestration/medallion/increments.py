"""Live: increments from bronze to published gold, one after the other, with dbt kept warm."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow.compute as pc

from expectations import delta
from expectations.catalog import Lake
from expectations.clock import Clock
from expectations.errors import TollgateError
from expectations.lease import Lease
from expectations.tables import PAYMENTS_RAW_BRONZE
from expectations.thresholds import MEDALLION_LAG_SECONDS
from orchestration.medallion.dbt_runner import INCREMENT, WarmDbt, generation, warehouse_alone
from orchestration.medallion.publishing import Publication, publish, published_rows
from orchestration.outcomes import CheckDeclaration, Outcome

POLL_SECONDS = 0.25
"""How often a waiting run looks at bronze. Between increments it lets go of the warehouse for at least so long."""

PUBLICATION_LAG = CheckDeclaration(
    "published_gold",
    "lag",
    f"What is committed to bronze is published within {MEDALLION_LAG_SECONDS} s.",
    is_blocking=False,
)


@dataclass(frozen=True)
class Increment:
    """One increment, from bronze to the publication.

    Attributes:
        publication: what was published, or which checks kept it back.
        bronze_lag_s: from the commit of its newest chunk to the publication.
        event_lag_s: from its newest event to the publication.
        dbt_s, publish_s: how long the two halves took.
    """

    publication: Publication
    bronze_lag_s: float
    event_lag_s: float
    dbt_s: float
    publish_s: float

    def lag_outcome(self) -> Outcome:
        """The verdict on the lag."""
        return PUBLICATION_LAG.outcome(
            self.bronze_lag_s <= MEDALLION_LAG_SECONDS,
            f"published {self.bronze_lag_s:.2f} s after the commit to bronze",
            bronze_lag_seconds=self.bronze_lag_s,
            event_lag_seconds=self.event_lag_s,
        )


@dataclass(frozen=True)
class BronzeEnd:
    """Where bronze ends, as its own bounds say, without reading a row.

    Attributes:
        rows: entry after the last landed one.
        committed_at: when its newest file was committed.
    """

    rows: int = 0
    committed_at: datetime | None = None


def bronze_end(lake: Lake) -> BronzeEnd:
    """The end of bronze as it stands."""
    table = delta.open_table(lake.table(PAYMENTS_RAW_BRONZE.name))
    if table is None:
        return BronzeEnd()
    bounds = delta.bounds(table)
    if not len(bounds):
        return BronzeEnd()
    committed_ms = pc.max(bounds["modification_time"].cast("int64")).as_py()
    return BronzeEnd(
        rows=pc.max(bounds["max._row_number"]).as_py() + 1,
        committed_at=datetime.fromtimestamp(committed_ms / 1_000, UTC),
    )


def why_idle(lake: Lake) -> str | None:
    """Why there is nothing to publish; None where bronze is ahead."""
    landed, published = bronze_end(lake).rows, published_rows(lake)
    return None if landed > published else f"all {published:,} landed rows are published"


def publication_lag(lake: Lake, now: datetime) -> Outcome:
    """The verdict on what waits for publication at this moment."""
    end, published = bronze_end(lake), published_rows(lake)
    waiting = max(0, end.rows - published)
    lag_s = (now - end.committed_at).total_seconds() if waiting and end.committed_at else 0.0
    return PUBLICATION_LAG.outcome(
        lag_s <= MEDALLION_LAG_SECONDS,
        f"{waiting:,} landed rows wait, the newest for {lag_s:.1f} s" if waiting else "all that landed is published",
        waiting_rows=waiting,
        bronze_lag_seconds=lag_s,
    )


@dataclass
class Medallion:
    """The medallion of one lake, warm.

    Attributes:
        lake: whose bronze, warehouse and marts.
        clock: the time of publications, and of "now" while the company is at work.
        passed: told each commit point by name; tests die there.
    """

    lake: Lake
    clock: Clock
    passed: Callable[[str], None] = field(default=lambda point: None)
    _has_views: bool = False

    def __post_init__(self) -> None:
        self._dbt = WarmDbt(self.lake)

    def increment(self) -> Increment:
        """Takes what has landed through silver and gold, and publishes it if it passes."""
        with warehouse_alone(self.lake):
            check_bronze(self.lake)
            started = time.perf_counter()
            self._build(self.clock())
            self.passed("dbt")
            dbt_s = time.perf_counter() - started
            publication = publish(self.lake, self.clock, generation=generation(self.lake), passed=self.passed)
        publish_s, now = time.perf_counter() - started - dbt_s, self.clock()
        newest_ingested_at = publication.newest_ingested_at or now
        newest_event_at = publication.newest_event_at or now
        return Increment(
            publication=publication,
            bronze_lag_s=(now - newest_ingested_at).total_seconds(),
            event_lag_s=(now - newest_event_at).total_seconds(),
            dbt_s=dbt_s,
            publish_s=publish_s,
        )

    def _build(self, wall_clock: datetime) -> None:
        """Silver; at first also the seeds, and gold's views, which stay."""
        if self._has_views:
            self._dbt.run(INCREMENT, wall_clock=wall_clock)
        else:
            self._dbt.run(["path:seeds"], command="seed")
            self._dbt.run(["path:models"], wall_clock=wall_clock)
            self._has_views = True


def check_bronze(lake: Lake) -> None:
    """Bronze must have the columns of the contract, with their types; further ones are left alone.

    Raises:
        TollgateError: a column is missing, or has another type.
    """
    table = delta.open_table(lake.table(PAYMENTS_RAW_BRONZE.name))
    if table is None:
        raise TollgateError("there is no bronze yet", where=lake.root, remedy="chunk a log first: `tollgate chunk`")
    found = delta.column_types(table)
    for column in PAYMENTS_RAW_BRONZE.arrow():
        if column.name not in found:
            raise TollgateError(f"bronze lacks the column {column.name}", where=lake.table("payments_raw_bronze"))
        if found[column.name] != column.type:
            raise TollgateError(
                f"bronze has {column.name} as {found[column.name]}, not {column.type}",
                where=lake.table("payments_raw_bronze"),
                remedy="restore the table, or rebuild the lake from the log",
            )


def linger(
    medallion: Medallion,
    owner: str,
    idle_seconds: float,
    max_life_seconds: float,
    elapsed: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Increment]:
    """Increments whenever bronze has grown, until nothing has for long, or the run is old.

    What a gate keeps back is tried again with the next rows that land, never in a loop.

    Raises:
        LakeBusy: another live run works on the lake.
    """
    with Lease(medallion.lake.medallion_lease, owner) as lease:
        born = busy = elapsed()
        tried = published_rows(medallion.lake)
        while elapsed() - busy < idle_seconds and elapsed() - born < max_life_seconds:
            end = bronze_end(medallion.lake)
            if end.rows > tried:
                # A full build may hold the warehouse for longer than the lease lasts.
                with lease.renewed_meanwhile():
                    increment = medallion.increment()
                yield increment
                tried, busy = end.rows, elapsed()
            lease.renew()
            sleep(POLL_SECONDS)

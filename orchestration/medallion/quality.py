"""A day of silver under Great Expectations: against the contract, and against the week before it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import duckdb

from expectations.catalog import Lake
from expectations.schema import PiiClass
from expectations.silver import PAYMENTS_ENRICHED_SILVER
from expectations.suites import KNOWN, Numbers, Profile, contract_expectations, drift_expectations
from expectations.thresholds import QUALITY
from expectations.validation import Subject, Validation, validate
from orchestration.outcomes import CheckDeclaration, Outcome

if TYPE_CHECKING:
    import pandas as pd

SATISFIES_CONTRACT = CheckDeclaration(
    PAYMENTS_ENRICHED_SILVER.name,
    "day_satisfies_contract",
    "A day of payments has no nulls where there must be none, allowed values, values in range, unique keys, and "
    "references to payments that are there.",
)
RESEMBLES_WEEK = CheckDeclaration(
    PAYMENTS_ENRICHED_SILVER.name,
    "day_resembles_week",
    "A day's volume, null shares, categories and means are those of the week before it.",
    is_blocking=False,
)
CHECKS = (SATISFIES_CONTRACT, RESEMBLES_WEEK)

REFERENCES = ("original_transaction_id", "retry_of")
CATEGORIES = (
    "event_type",
    "merchant_segment",
    "merchant_country",
    "currency",
    "card_network",
    "payment_solution",
    "entry_mode",
    "three_ds_outcome",
    "decline_reason",
    "risk_tier",
    "amount_bucket",
)
NUMBERS = ("fraud_score", "aml_score", "device_trust_score", "latency_ms", "attempt")

_SHOWN = frozenset(column.name for column in PAYMENTS_ENRICHED_SILVER.fields if column.pii is PiiClass.NONE)
_DAY = timedelta(days=1)
_SEED = 11


@dataclass(frozen=True)
class Day:
    """A day of silver, and what the week before it was like.

    Attributes:
        end: its end; it has 24 hours.
        rows: how many payments it has.
        frame: these, or a sample of them.
        profile: of the week before; None where that has no payments.
    """

    end: datetime
    rows: int
    frame: "pd.DataFrame"
    profile: Profile | None


def read_day(lake: Lake, day: date | None = None) -> Day | None:
    """A day, with its week, from the warehouse. Hold the warehouse lock.

    Args:
        lake: whose warehouse.
        day: a UTC day; the 24 hours up to silver's latest event if not given.

    Returns:
        None where silver has no payments.
    """
    with contextlib.closing(duckdb.connect(str(lake.warehouse), read_only=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        end = _end_of(day) if day else _latest_event(connection)
        if end is None:
            return None
        within = _between(end - _DAY, end)
        (rows,) = connection.execute(f"SELECT count(*) FROM silver.payments_enriched_silver WHERE {within}").fetchone()
        frame = _frame(connection, within)
        return Day(end, rows, frame, _profile(connection, end, frame))


def check_day(day: Day | None, lake: Lake) -> Iterator[Outcome]:
    """The verdicts on a day; writes the Data Docs."""
    if day is None or not day.rows:
        for check in CHECKS:
            yield check.outcome(True, "silver has no payments on that day")
        return
    suites = {"contract": contract_expectations(PAYMENTS_ENRICHED_SILVER, REFERENCES)}
    if day.profile:
        suites["drift"] = drift_expectations(day.profile, sampled_share=len(day.frame) / day.rows)
    found = {
        validation.suite: validation
        for validation in validate(
            [Subject(PAYMENTS_ENRICHED_SILVER.name, day.frame, suites, "transaction_id", _SHOWN)], lake.data_docs
        )
    }
    yield _outcome(SATISFIES_CONTRACT, found["contract"], day, lake)
    if "drift" in found:
        yield _outcome(RESEMBLES_WEEK, found["drift"], day, lake)
    else:
        yield RESEMBLES_WEEK.outcome(True, "silver has no week before that day to compare it with")


def _outcome(check: CheckDeclaration, found: Validation, day: Day, lake: Lake) -> Outcome:
    held = found.expectations - len(found.failures)
    culprits = {
        f"{failure.column or 'table'} {failure.expectation}": " ".join(
            [failure.observed, *([f"(such as {', '.join(failure.rows)})"] if failure.rows else [])]
        )
        for failure in found.failures
    }
    named = f"; not: {', '.join(culprits)}" if culprits else ""
    return check.outcome(
        not found.failures,
        f"{held} of {found.expectations} expectations hold for {day.rows:,} payments of the 24 hours to "
        f"{day.end:%Y-%m-%d %H:%M} UTC{named}",
        rows=day.rows,
        rows_looked_at=len(day.frame),
        data_docs=str(lake.data_docs / "index.html"),
        **culprits,
    )


def _end_of(day: date) -> datetime:
    # The stretch includes its end.
    return datetime.combine(day + _DAY, time.min, UTC) - timedelta(microseconds=1)


def _latest_event(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    return connection.execute("SELECT max(newest_event_at) FROM silver.increments").fetchone()[0]


def _between(start: datetime, end: datetime) -> str:
    return (
        f"event_timestamp > '{start.isoformat()}'::TIMESTAMPTZ AND event_timestamp <= '{end.isoformat()}'::TIMESTAMPTZ"
    )


def _frame(connection: duckdb.DuckDBPyConnection, within: str) -> "pd.DataFrame":
    """The day's payments, sampled if they are many; beside each reference, whether what it names is in silver."""
    import pandas as pd

    known = ", ".join(
        f"CASE WHEN {reference} IS NOT NULL THEN {reference} IN "
        f"(SELECT transaction_id FROM silver.payments_enriched_silver) END AS {reference}{KNOWN}"
        for reference in REFERENCES
    )
    columns = ", ".join(PAYMENTS_ENRICHED_SILVER.columns)
    found = connection.execute(
        f"WITH sampled AS (SELECT {columns} FROM (SELECT * FROM silver.payments_enriched_silver WHERE {within}) "
        f"USING SAMPLE reservoir({QUALITY.sampled_rows} ROWS) REPEATABLE ({_SEED})) SELECT *, {known} FROM sampled"
    )
    return found.to_arrow_table().to_pandas(types_mapper=pd.ArrowDtype)


def _profile(connection: duckdb.DuckDBPyConnection, end: datetime, day: "pd.DataFrame") -> Profile | None:
    """The week before, of the columns of which both it and the day have enough to compare."""
    week = f"FROM silver.payments_enriched_silver WHERE {_between(end - _DAY * (QUALITY.week_days + 1), end - _DAY)}"
    counts = connection.execute(
        f"SELECT count(*) {week} GROUP BY (epoch_us(event_timestamp) - {_microseconds(end)}) // 86_400_000_000"
    ).fetchall()
    if not counts:
        return None
    rows = [count for (count,) in counts]
    nullable = [column.name for column in PAYMENTS_ENRICHED_SILVER.fields if column.nullable]
    filled = dict(zip(nullable, _one_row(connection, [f"count({name})" for name in nullable], week), strict=True))
    filled_today = day.count().to_dict()

    def is_comparable(column: str) -> bool:
        return min(filled.get(column, sum(rows)), filled_today[column]) >= QUALITY.judged_rows

    numbers = [column for column in NUMBERS if is_comparable(column)]
    moments = _one_row(connection, [f"{of}({column})" for column in numbers for of in ("avg", "stddev_samp")], week)
    return Profile(
        rows_lowest=min(rows),
        rows_highest=max(rows),
        null_shares={
            column: 1 - count / sum(rows)
            for column, count in filled.items()
            if (count or filled_today[column]) and min(sum(rows), len(day)) >= QUALITY.judged_rows
        },
        shares={column: _shares(connection, column, week) for column in CATEGORIES if is_comparable(column)},
        numbers={column: Numbers(*moments[2 * at : 2 * at + 2]) for at, column in enumerate(numbers)},
    )


def _one_row(connection: duckdb.DuckDBPyConnection, expressions: list[str], rows: str) -> tuple:
    return connection.execute(f"SELECT {', '.join(expressions)} {rows}").fetchone() if expressions else ()


def _shares(connection: duckdb.DuckDBPyConnection, column: str, week: str) -> dict[str, float]:
    found = connection.execute(
        f"SELECT {column}, count(*) / sum(count(*)) OVER () {week} AND {column} IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    return dict(found.fetchall())


def _microseconds(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

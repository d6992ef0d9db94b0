"""What silver and gold must satisfy before readers see them. The cost follows the new rows, not the history.

The history was audited when it was new. What is read of it now is the ledger of increments, the rollups, and figures
that DuckDB keeps of a table; silver itself only where its zone maps point at the new rows.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from expectations.card_numbers import find_card_numbers
from expectations.delta import sql_text
from expectations.schema import DataType, Field, TableSchema
from expectations.silver import PAYMENTS_DUPLICATES, PAYMENTS_ENRICHED_SILVER, PAYMENTS_QUARANTINE, SILVER_TABLES
from orchestration.outcomes import CheckDeclaration, Outcome

GOLD_VIEWS = (
    "v_executive_kpis",
    "v_approval_trends_hourly",
    "v_daily_trends",
    "v_performance_by_geography",
    "v_top_decline_reasons",
    "v_decline_recovery_opportunities",
    "v_last_hour_performance",
    "v_active_alerts",
    "v_solution_performance",
    "v_card_network_performance",
    "v_retry_performance",
    "v_merchant_segment_performance",
    "v_risk_distribution",
    "v_3ds_performance",
    "v_financial_summary",
    "v_system_performance",
)

CONSERVED = CheckDeclaration(
    "published_silver",
    "rows_and_money_conserved",
    "Bronze = silver + quarantined + duplicates, in counts and in money per currency: per increment, and in sum.",
)
LEDGER_GAPLESS = CheckDeclaration(
    "published_silver",
    "ledger_gapless",
    "Each increment begins where the one before it ended; no row is taken twice or left out.",
)
ROWS_UNIQUE = CheckDeclaration(
    "published_silver", "new_rows_unique", "No row and no payment stands twice among the new rows."
)
ROWS_VALID = CheckDeclaration(
    "published_silver", "new_rows_valid", "The new rows have every value that they must, and only allowed ones."
)
ROLLUPS_COVER = CheckDeclaration(
    "published_silver",
    "rollups_cover_silver",
    "Each rollup counts every row of silver once, with its money, up to the last row.",
)
NO_CARD_NUMBERS = CheckDeclaration(
    "published_silver", "no_card_number", "No card number stands in the text columns of the new rows."
)
VIEWS_FILLED = CheckDeclaration(
    "published_gold", "views_filled", "Every gold view can be read, and has rows when silver has."
)
RATES_BOUNDED = CheckDeclaration("published_gold", "rates_within_bounds", "Rates and shares lie within 0 and 1.")
AGREES = CheckDeclaration("published_gold", "agrees_with_rollups", "Totals in gold are those of the rollups.")
MOVES_FORWARD = CheckDeclaration(
    "published_gold",
    "moves_forward",
    "It is as of no earlier instant than what is published, and covers no fewer rows.",
)

CHECKS = (
    CONSERVED,
    LEDGER_GAPLESS,
    ROWS_UNIQUE,
    ROWS_VALID,
    ROLLUPS_COVER,
    NO_CARD_NUMBERS,
    VIEWS_FILLED,
    RATES_BOUNDED,
    AGREES,
    MOVES_FORWARD,
)

DIMENSIONS = (
    "all",
    "merchant_country",
    "payment_solution",
    "card_network",
    "merchant_segment",
    "risk_tier",
    "decline_reason",
    "amount_bucket",
    "three_ds",
)
"""Of the hourly rollup; each of them counts every row."""

_MAY_BE_EMPTY = frozenset(
    {"v_active_alerts", "v_top_decline_reasons", "v_decline_recovery_opportunities", "v_retry_performance"}
)
"""Views of what need not happen."""

_EMPTY_WHEN_LIVE = frozenset({"v_last_hour_performance"})
"""By the wall clock, nothing may have happened lately. Otherwise now is the latest event, which is within the hour."""

_RATES = ("_rate", "_share")
_ROWS_SCANNED_AT_A_TIME = 50_000
_NAMED = 3
"""How many culprits a summary names."""


@dataclass(frozen=True)
class Position:
    """How far something is: what the warehouse holds, or what is published.

    Attributes:
        bronze_rows: entry of the source log up to which it covers bronze (exclusive).
        as_of: what gold takes for now; None while silver is empty.
        is_live: whether that is the wall clock.
        newest_event_at: the latest event.
    """

    bronze_rows: int = 0
    as_of: datetime | None = None
    is_live: bool = False
    newest_event_at: datetime | None = None


@dataclass(frozen=True)
class Gold:
    """The gold views with their rows, and why others cannot be read."""

    views: Mapping[str, pa.Table] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


def read_position(connection: duckdb.DuckDBPyConnection) -> Position:
    """Where the warehouse stands."""
    found = connection.execute(
        "SELECT bronze_rows, as_of, is_live, (SELECT max(newest_event_at) FROM silver.increments) FROM silver.as_of"
    ).fetchone()
    return Position(*found) if found else Position()


def read_gold(connection: duckdb.DuckDBPyConnection) -> Gold:
    """Every gold view, in an order of its own, so that the same rows give the same bytes. Integers stay integers."""
    views, errors = {}, {}
    names = connection.execute(
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_schema = 'gold' AND starts_with(table_name, 'v_') ORDER BY 1"
    ).fetchall()
    for (name,) in names:
        try:
            found = connection.execute(f'SELECT * FROM gold."{name}" ORDER BY ALL').to_arrow_table()
            views[name] = _with_integers(found)
        except (duckdb.Error, pa.ArrowInvalid) as error:
            errors[name] = " ".join(str(error).split())[:300]
    return Gold(views, errors)


def audit(
    connection: duckdb.DuckDBPyConnection, gold: Gold, published: Position, from_row: int | None = None
) -> list[Outcome]:
    """The verdicts on what the warehouse holds. All of them are blocking.

    Args:
        connection: to the warehouse; time zone UTC.
        gold: the gold views, read from it.
        published: what readers see by now.
        from_row: where the new rows begin; where the published ones end, if not given. 0 audits everything.
    """
    start = published.bronze_rows if from_row is None else from_row
    position = read_position(connection)
    return [
        conserved(connection, start),
        _ledger_gapless(connection, position),
        _rows_unique(connection, start),
        _rows_valid(connection, start),
        _rollups_cover(connection, start),
        _no_card_numbers(connection, start),
        _views_filled(connection, gold, position),
        _rates_bounded(gold),
        _agrees(connection, gold),
        _moves_forward(position, published),
    ]


def _with_integers(table: pa.Table) -> pa.Table:
    """Sums of integers are HUGEINT in DuckDB, which Arrow knows as decimals without decimals."""
    columns = [
        pc.cast(column, pa.int64()) if pa.types.is_decimal(column.type) and column.type.scale == 0 else column
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def conserved(connection: duckdb.DuckDBPyConnection, start: int) -> Outcome:
    """Whether the ledger balances, and the tables hold what it says: in all, and row by row from `start` on."""
    unbalanced = connection.execute(
        "SELECT from_row, upto_row, currency FROM silver.increments "
        "WHERE bronze_rows <> silver_rows + quarantined_rows + duplicate_rows "
        "OR bronze_minor <> silver_minor + quarantined_minor + duplicate_minor ORDER BY ALL"
    ).fetchall()
    amiss = [f"{currency} of rows {first:,} to {upto:,} does not balance" for first, upto, currency in unbalanced]
    amiss += [
        f"{table} has {rows:+,} rows and {minor:+,} minor units of {currency} against the ledger"
        for table, currency, rows, minor in connection.execute(_recount(start)).fetchall()
    ]
    for table, ledger_column in _LEDGER_COLUMNS.items():
        held, counted = connection.execute(
            f"SELECT (SELECT count(*) FROM silver.{table}), "
            f"(SELECT coalesce(sum({ledger_column}_rows), 0) FROM silver.increments)"
        ).fetchone()
        if held != counted:
            amiss.append(f"{table} has {held:,} rows, the ledger {counted:,}")
    totals = connection.execute(
        "SELECT coalesce(sum(bronze_rows), 0), coalesce(sum(silver_rows), 0), coalesce(sum(quarantined_rows), 0), "
        "coalesce(sum(duplicate_rows), 0) FROM silver.increments"
    ).fetchone()
    bronze, silver, quarantined, duplicates = (int(total) for total in totals)
    return CONSERVED.outcome(
        not amiss,
        f"{bronze:,} bronze = {silver:,} silver + {quarantined:,} quarantined + {duplicates:,} duplicates{_but(amiss)}",
        bronze_rows=bronze, silver_rows=silver, quarantined_rows=quarantined, duplicate_rows=duplicates,
    )  # fmt: skip


_LEDGER_COLUMNS = {
    PAYMENTS_ENRICHED_SILVER.name: "silver",
    PAYMENTS_QUARANTINE.name: "quarantined",
    PAYMENTS_DUPLICATES.name: "duplicate",
}


def _recount(start: int) -> str:
    """SQL: where the new rows of a table are not those of the ledger, by how much."""
    sides = [
        side
        for table, column in _LEDGER_COLUMNS.items()
        for side in (
            f"SELECT '{table}' AS held_in, currency, 1 AS counted, amount_minor AS minor "
            f"FROM silver.{table} WHERE _row_number >= {start}",
            f"SELECT '{table}', currency, -{column}_rows, -{column}_minor "
            f"FROM silver.increments WHERE from_row >= {start}",
        )
    ]
    return (
        f"SELECT held_in, currency, sum(counted)::BIGINT AS counted, sum(minor)::BIGINT AS minor "
        f"FROM ({' UNION ALL '.join(sides)}) GROUP BY ALL HAVING sum(counted) <> 0 OR sum(minor) <> 0 ORDER BY ALL"
    )


def _ledger_gapless(connection: duckdb.DuckDBPyConnection, position: Position) -> Outcome:
    amiss = [
        f"rows {first:,} to {upto:,} follow what ended at {ended:,}"
        for first, upto, ended in connection.execute(
            "SELECT from_row, upto_row, lag(upto_row, 1, 0) OVER (ORDER BY from_row, upto_row) AS ended "
            "FROM (SELECT DISTINCT from_row, upto_row FROM silver.increments) "
            "QUALIFY from_row <> ended OR upto_row <= from_row ORDER BY ALL"
        ).fetchall()
    ]
    increments, upto = connection.execute(
        "SELECT count(DISTINCT upto_row), coalesce(max(upto_row), 0) FROM silver.increments"
    ).fetchone()
    if upto != position.bronze_rows:
        amiss.append(f"gold is of {position.bronze_rows:,}")
    return LEDGER_GAPLESS.outcome(
        not amiss, f"{increments:,} increments up to row {upto:,}{_but(amiss)}", increments=increments, upto_row=upto
    )


def _rows_unique(connection: duckdb.DuckDBPyConnection, start: int) -> Outcome:
    rows, numbers, payments = connection.execute(
        "SELECT count(*), count(DISTINCT _row_number), count(DISTINCT transaction_id) "
        f"FROM silver.payments_enriched_silver WHERE _row_number >= {start}"
    ).fetchone()
    return ROWS_UNIQUE.outcome(
        rows == numbers == payments,
        f"{rows:,} new rows: {numbers:,} row numbers, {payments:,} payments",
        rows=rows, row_numbers=numbers, payments=payments,
    )  # fmt: skip


def _rows_valid(connection: duckdb.DuckDBPyConnection, start: int) -> Outcome:
    amiss = {
        broken: count
        for table in SILVER_TABLES
        for broken, count in _broken_rules(connection, table, start).items()
        if count
    }
    named = [f"{count:,} rows break {broken}" for broken, count in amiss.items()]
    return ROWS_VALID.outcome(not amiss, f"new rows from row {start:,} on satisfy the contract{_but(named)}", **amiss)


def _broken_rules(connection: duckdb.DuckDBPyConnection, table: TableSchema, start: int) -> dict[str, int]:
    """How many new rows of a table break each rule."""
    # What is in quarantine came as it is: only what Tollgate adds to it is bound to its ranges.
    is_checked = table is not PAYMENTS_QUARANTINE
    rules = {
        f"{table.name}.{column.name} {rule}": condition
        for column in table.fields
        for rule, condition in _rules(column, is_checked)
    }
    counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in rules.values())
    found = connection.execute(f"SELECT {counts} FROM silver.{table.name} WHERE _row_number >= {start}").fetchone()
    return dict(zip(rules, found, strict=True))


def _rules(column: Field, is_checked: bool) -> Iterator[tuple[str, str]]:
    """Name and SQL of what breaks each rule of a column."""
    if not column.nullable:
        yield "not null", f"{column.name} IS NULL"
    if column.type is DataType.STRINGS:
        yield "not empty", f"len({column.name}) = 0"
    if column.allowed and is_checked:
        yield "allowed", f"{column.name} NOT IN ({', '.join(sql_text(value) for value in column.allowed)})"
    for rule, bound, limit in (("minimum", "<", column.minimum), ("maximum", ">", column.maximum)):
        if limit is not None and is_checked:
            yield rule, f"{column.name} {bound} {limit}"


def _rollups_cover(connection: duckdb.DuckDBPyConnection, start: int) -> Outcome:
    silver, retries, covered, covered_lags, end = connection.execute(
        "SELECT (SELECT coalesce(sum(silver_rows), 0)::BIGINT FROM silver.increments), "
        "(SELECT coalesce(sum(retries), 0)::BIGINT FROM silver.payments_hourly WHERE dimension = 'all'), "
        "(SELECT coalesce(max(covered_upto), 0) FROM silver.payments_hourly), "
        "(SELECT coalesce(max(covered_upto), 0) FROM silver.histograms_hourly), "
        f"(SELECT max(_row_number) + 1 FROM silver.payments_enriched_silver WHERE _row_number >= {start})"
    ).fetchone()
    counted = dict(
        connection.execute("SELECT dimension, sum(events)::BIGINT FROM silver.payments_hourly GROUP BY 1").fetchall()
    )
    counted = {f"payments_hourly by {dimension}": counted.get(dimension, 0) for dimension in DIMENSIONS}
    (counted["histograms_hourly"],) = connection.execute(
        "SELECT coalesce(sum(observations), 0)::BIGINT FROM silver.histograms_hourly WHERE measure = 'ingest_lag_ms'"
    ).fetchone()
    amiss = [f"{rollup} counts {rows:,}" for rollup, rows in counted.items() if rows != silver]
    (retried,) = connection.execute("SELECT coalesce(sum(attempts), 0)::BIGINT FROM silver.retries_hourly").fetchone()
    if retried != retries:
        amiss.append(f"retries_hourly counts {retried:,} retries, payments_hourly {retries:,}")
    # Without new rows the rollups end where they did; with some, at the last of them.
    for upto in (covered, covered_lags):
        if upto != end if end is not None else upto > start:
            amiss.append(f"a rollup covers rows up to {upto:,}, silver {end or start:,}")
    amiss += [
        f"{currency} differs by {minor:+,} minor units"
        for currency, minor in connection.execute(_ROLLUP_MONEY).fetchall()
    ]
    return ROLLUPS_COVER.outcome(
        not amiss, f"{silver:,} rows in silver and in every rollup{_but(amiss)}", silver_rows=silver
    )


_ROLLUP_MONEY = """
    SELECT currency, sum(minor)::BIGINT AS minor
    FROM (
      SELECT currency, amount_minor + captured_minor + refunded_minor + reversed_minor + charged_back_minor AS minor
      FROM silver.payments_hourly WHERE dimension = 'all'
      UNION ALL
      SELECT currency, -silver_minor FROM silver.increments
    )
    GROUP BY currency HAVING sum(minor) <> 0 ORDER BY currency
"""


def _no_card_numbers(connection: duckdb.DuckDBPyConnection, start: int) -> Outcome:
    scanned, found = 0, []
    for table in SILVER_TABLES:
        texts = [column.name for column in table.fields if column.type is DataType.STRING]
        reader = connection.execute(
            f"SELECT {', '.join(texts)} FROM silver.{table.name} WHERE _row_number >= {start}"
        ).to_arrow_reader(_ROWS_SCANNED_AT_A_TIME)
        for batch in reader:
            scanned += len(batch)
            found += [f"{table.name} holds one of {match.network}" for match in _card_numbers(batch)]
    return NO_CARD_NUMBERS.outcome(
        not found, f"{scanned:,} new rows scanned{_but(found)}", rows=scanned, card_numbers=len(found)
    )


def _card_numbers(rows: pa.RecordBatch) -> Iterable:
    text = io.BytesIO()
    csv.write_csv(rows, text)
    return find_card_numbers(text.getvalue())


def _views_filled(connection: duckdb.DuckDBPyConnection, gold: Gold, position: Position) -> Outcome:
    (silver_rows,) = connection.execute("SELECT count(*) FROM silver.payments_enriched_silver").fetchone()
    amiss = [f"{view} cannot be read: {why}" for view, why in gold.errors.items()]
    amiss += [f"{view} is missing" for view in GOLD_VIEWS if view not in {*gold.views, *gold.errors}]
    may_be_empty = _MAY_BE_EMPTY | (_EMPTY_WHEN_LIVE if position.is_live else frozenset())
    if silver_rows:
        amiss += [f"{view} is empty" for view, rows in gold.views.items() if not len(rows) and view not in may_be_empty]
    rows = sum(len(table) for table in gold.views.values())
    return VIEWS_FILLED.outcome(not amiss, f"{len(gold.views)} views, {rows:,} rows{_but(amiss)}", rows=rows)


def _rates_bounded(gold: Gold) -> Outcome:
    checked, amiss = 0, []
    for view, rows in gold.views.items():
        for name in rows.column_names:
            if name.endswith(_RATES):
                checked += 1
                least, greatest = pc.min_max(rows[name]).as_py().values()
                if least is not None and (least < 0 or greatest > 1):
                    amiss.append(f"{view}.{name} goes from {least} to {greatest}")
    return RATES_BOUNDED.outcome(not amiss, f"{checked} columns of rates{_but(amiss)}", columns=checked)


@dataclass(frozen=True)
class _Total:
    """What the rows of a view add up to, per currency: which of the rollup's measures, over its last 30 days.

    Attributes:
        view: the view.
        measures: its columns, and the rollup's that they equal in sum.
        where: column and value of the rows that count.
        has_all: rows of the currency ALL stand beside those of each; they have no money.
    """

    view: str
    measures: Mapping[str, str]
    where: tuple[str, str] | None = None
    has_all: bool = True


_COUNTS = {"authorisations": "authorisations", "approvals": "approvals"}
_COUNTS_AND_MONEY = _COUNTS | {"amount_minor": "amount_minor"}

_TOTALS = (
    _Total("v_executive_kpis", _COUNTS_AND_MONEY, where=("period", "last_30_days")),
    _Total("v_performance_by_geography", _COUNTS_AND_MONEY),
    _Total("v_solution_performance", _COUNTS_AND_MONEY),
    _Total("v_card_network_performance", _COUNTS_AND_MONEY),
    _Total("v_merchant_segment_performance", _COUNTS_AND_MONEY),
    _Total("v_risk_distribution", _COUNTS_AND_MONEY),
    _Total("v_approval_trends_hourly", _COUNTS),
    _Total(
        "v_financial_summary",
        {"events": "authorisations", "amount_minor": "amount_minor"},
        where=("line_item", "gross"),
        has_all=False,
    ),
)

_ROLLUP_TOTALS = """
    SELECT
      coalesce(currency, 'ALL') AS currency, sum(authorisations)::BIGINT AS authorisations,
      sum(approvals)::BIGINT AS approvals,
      CASE WHEN grouping(currency) = 0 THEN sum(amount_minor)::BIGINT END AS amount_minor
    FROM silver.payments_hourly, silver.as_of
    WHERE dimension = 'all' AND event_hour > as_of - INTERVAL 30 DAY AND event_hour <= as_of
    GROUP BY GROUPING SETS ((currency), ()) HAVING count(*) > 0
"""


def _agrees(connection: duckdb.DuckDBPyConnection, gold: Gold) -> Outcome:
    rollup = connection.execute(_ROLLUP_TOTALS).to_arrow_table().to_pylist()
    compared = [total for total in _TOTALS if total.view in gold.views]
    amiss = [why for total in compared for why in _disagreements(total, gold.views[total.view], rollup)]
    return AGREES.outcome(
        not amiss, f"the last 30 days of {len(compared)} views add up{_but(amiss)}", views=len(compared)
    )


def _disagreements(total: _Total, rows: pa.Table, rollup: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Where a view does not add up to the rollup."""
    if total.where:
        column, value = total.where
        rows = rows.filter(pc.equal(rows[column], value)) if column in rows.column_names else rows.slice(0, 0)
    missing = {*total.measures} - {*rows.column_names}
    if missing:
        yield f"{total.view} has no column {min(missing)}"
        return
    has_currency = "currency" in rows.column_names
    keys = ["currency"] if has_currency else []
    sums = rows.group_by(keys).aggregate([(name, "sum") for name in total.measures]).to_pylist()
    found = {
        line.get("currency", "ALL"): {measure: line[f"{name}_sum"] for name, measure in total.measures.items()}
        for line in sums
        if len(rows)
    }
    expected = {
        line["currency"]: {measure: line[measure] for measure in total.measures.values()}
        for line in rollup
        if (total.has_all or line["currency"] != "ALL") and (has_currency or line["currency"] == "ALL")
    }
    for currency in sorted({*found, *expected}):
        if found.get(currency) != expected.get(currency):
            yield f"{total.view} has {found.get(currency)} of {currency}, the rollup {expected.get(currency)}"


def _moves_forward(position: Position, published: Position) -> Outcome:
    # What was live may be ahead of the latest event, by which old data is dated.
    is_same_kind = position.is_live == published.is_live
    earliest = published.as_of if is_same_kind else published.newest_event_at
    is_later = earliest is None or (position.as_of is not None and position.as_of >= earliest)
    return MOVES_FORWARD.outcome(
        is_later and position.bronze_rows >= published.bronze_rows,
        f"from {published.bronze_rows:,} rows as of {published.as_of or 'never'} "
        f"to {position.bronze_rows:,} as of {position.as_of or 'never'}",
        bronze_rows=position.bronze_rows, published_bronze_rows=published.bronze_rows,
    )  # fmt: skip


def _but(amiss: Sequence[str]) -> str:
    """The culprits, as the end of a summary."""
    more = f", and {len(amiss) - _NAMED} more" if len(amiss) > _NAMED else ""
    return f"; but {'; '.join(amiss[:_NAMED])}{more}" if amiss else ""

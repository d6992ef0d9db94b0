"""The gate of a business day: blocking checks over what was frozen and what came of it.

They recompute from the frozen inputs what the reconciliation says, by other means. Only one of them can be lifted, by
two signatures: that what is unexplained is within tolerance. The others say that something is wrong with the figures.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import duckdb
import pyarrow as pa

from expectations.core_banking import FX_RATE_SCALE
from expectations.finance import (
    AUDITED_DAILY_BREAKS,
    AUDITED_DAILY_REVENUE,
    AUDITED_DAILY_SETTLEMENT,
    AUDITED_TRIAL_BALANCE,
    LEDGER_BALANCES,
    LEDGER_BATCHES,
    LEDGER_CLOSING,
    LEDGER_ENTRIES,
    LEDGER_POSTINGS,
    PLATFORM_PAYMENTS,
)
from expectations.thresholds import FinancePolicy
from orchestration.money import display
from orchestration.outcomes import CheckDeclaration, Outcome

STAGING, RECONCILIATION = "settlement_staging", "reconciliation"

INPUTS_UNCHANGED = CheckDeclaration(
    STAGING, "inputs_are_what_was_frozen", "Every input's content has the hash under which it was frozen."
)
KEYS_UNIQUE = CheckDeclaration(
    STAGING, "nothing_comes_twice", "No payment and no journal entry comes twice, nor again after it was carried over."
)
LEDGER_COMPLETE = CheckDeclaration(
    STAGING,
    "ledger_is_complete",
    "There are as many entries and postings as the bank says, and each batch's totals are those of its entries.",
)
JOURNAL_BALANCES = CheckDeclaration(
    STAGING,
    "debits_equal_credits",
    "Debits equal credits in every entry and currency, and the postings say what the entries say.",
)
STAGING_SATISFIES = CheckDeclaration(
    STAGING, "staging_satisfies_contract", "Payments and entries satisfy their contract, under Great Expectations."
)
ROWS_CONSERVED = CheckDeclaration(
    RECONCILIATION,
    "every_row_ends_once",
    "Payments, entries and what was carried over end matched or in a break, each of them once.",
)
MONEY_CONSERVED = CheckDeclaration(
    RECONCILIATION,
    "money_adds_up",
    "Gross - refunds - chargebacks - reversals - fees + carried in = bank net + open breaks + written off, for each "
    "currency, from the frozen inputs and from every published table alike.",
)
BALANCES_ROLL = CheckDeclaration(
    RECONCILIATION,
    "balances_roll_forward",
    "Every account's opening is the closing of the day before, and opening + debits - credits is what the bank says.",
)
RESULT_SATISFIES = CheckDeclaration(
    RECONCILIATION, "result_satisfies_contract", "The tables of the day satisfy their contract."
)
WITHIN_TOLERANCE = CheckDeclaration(
    RECONCILIATION,
    "unexplained_within_tolerance",
    "What no young break explains is within each currency's tolerance, or two people have signed for it.",
)

STAGING_CHECKS = (INPUTS_UNCHANGED, KEYS_UNIQUE, LEDGER_COMPLETE, JOURNAL_BALANCES, STAGING_SATISFIES)
RECONCILIATION_CHECKS = (ROWS_CONSERVED, MONEY_CONSERVED, BALANCES_ROLL, RESULT_SATISFIES, WITHIN_TOLERANCE)
CHECKS = (*STAGING_CHECKS, *RECONCILIATION_CHECKS)
LIFTABLE = frozenset({WITHIN_TOLERANCE.check})
"""What two signatures can lift."""

_NAMED = 5


@dataclass(frozen=True)
class Judged:
    """What is judged.

    Attributes:
        business_date: the day.
        inputs: the frozen tables of both sides, by name.
        opening: what was carried over, as `OPEN_ITEMS`.
        balances_before: trial balance of the day before.
        outputs: what came of it, by name: the tables of the day, `open_items` and `reconciled_rows`.
    """

    business_date: date
    inputs: Mapping[str, pa.Table]
    opening: pa.Table
    balances_before: pa.Table
    outputs: Mapping[str, pa.Table]


def judge_inputs(
    inputs: Mapping[str, pa.Table], opening: pa.Table, changed: Sequence[str], policy: FinancePolicy
) -> list[Outcome]:
    """The verdicts on what was frozen; Great Expectations' is made apart."""
    with _over(inputs | {"opening": opening}) as connection:
        return [
            INPUTS_UNCHANGED.outcome(
                not changed, "every table is as it was frozen" if not changed else f"changed: {', '.join(changed)}"
            ),
            _keys_unique(connection),
            _ledger_complete(connection, policy),
            _journal_balances(connection),
        ]


def judge_result(judged: Judged, policy: FinancePolicy, approval: str) -> list[Outcome]:
    """The verdicts on what came of it; that on the contract is made apart.

    Args:
        judged: inputs and outputs.
        policy: what may be unexplained.
        approval: who has signed for what is beyond tolerance; empty if nobody has.
    """
    frames = {
        "opening": judged.opening,
        "balances_before": judged.balances_before,
        "payouts": _payouts_off(judged.inputs[LEDGER_BATCHES.name]),
    }
    with _over(judged.inputs | judged.outputs | frames) as connection:
        return [
            _rows_conserved(connection),
            _money_conserved(connection),
            _balances_roll(connection),
            _within_tolerance(judged.outputs, policy, approval),
        ]


def unexplained(breaks: pa.Table, policy: FinancePolicy) -> dict[str, int]:
    """Per currency, the amounts and fees, in minor units, of open breaks that are too old to explain anything."""
    found: dict[str, int] = {}
    for row in breaks.to_pylist():
        if row["status"] == "open" and row["age_days"] > policy.explained_within_days:
            off = abs(row["amount_minor"]) + abs(row["fee_minor"])
            found[row["currency"]] = found.get(row["currency"], 0) + off
    return dict(sorted(found.items()))


def beyond_tolerance(outputs: Mapping[str, pa.Table], policy: FinancePolicy) -> dict[str, int]:
    """Per currency, what is unexplained where that is more than the tolerance, in minor units."""
    found = unexplained(outputs[AUDITED_DAILY_BREAKS.name], policy)
    return {currency: amount for currency, amount in found.items() if amount > policy.tolerance_minor.get(currency, 0)}


@contextlib.contextmanager
def _over(tables: Mapping[str, pa.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, table in tables.items():
            connection.register(name, table)
        yield connection


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple]:
    return connection.execute(query).fetchall()


def _some(found: Sequence[tuple]) -> str:
    """The first of what was found, for people."""
    named = ", ".join(" ".join(str(value) for value in row) for row in found[:_NAMED])
    return named + (f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else "")


def _keys_unique(connection: duckdb.DuckDBPyConnection) -> Outcome:
    twice = _rows(
        connection,
        f"""
        SELECT side, item_id FROM (
          SELECT 'platform' AS side, transaction_id AS item_id FROM {PLATFORM_PAYMENTS.name}
          UNION ALL SELECT 'bank', entry_id::VARCHAR FROM {LEDGER_ENTRIES.name}
          UNION ALL SELECT side, item_id FROM opening
        ) GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL
        """,
    )
    summary = f"come twice: {_some(twice)}" if twice else "every row of both sides comes once"
    return KEYS_UNIQUE.outcome(not twice, summary, repeated=len(twice))


def _ledger_complete(connection: duckdb.DuckDBPyConnection, policy: FinancePolicy) -> Outcome:
    counted = _rows(
        connection,
        f"""
        SELECT closing.entries, closing.postings, (SELECT count(*) FROM {LEDGER_ENTRIES.name}) AS found_entries,
               (SELECT count(*) FROM {LEDGER_POSTINGS.name}) AS found_postings
        FROM {LEDGER_CLOSING.name} AS closing
        """,
    )
    off = _rows(
        connection,
        f"""
        SELECT batch_id, currency FROM {LEDGER_BATCHES.name} AS batches
        FULL JOIN (
          SELECT batch_id, currency, count(*) AS entries, sum(amount_minor) AS amount_minor,
                 sum(fee_minor) AS fee_minor
          FROM {LEDGER_ENTRIES.name} WHERE batch_id IS NOT NULL AND kind <> 'payout' GROUP BY ALL
        ) AS found USING (batch_id, currency)
        WHERE (batches.entries, batches.amount_minor, batches.fee_minor, batches.net_minor) IS DISTINCT FROM
              (found.entries, found.amount_minor, found.fee_minor, found.amount_minor - found.fee_minor)
        ORDER BY ALL
        """,
    )
    if policy.bank_date_basis != "booking_date":
        # Of the entries booked on the day, those that count from a later one are not here; nor are batches whole.
        off, counted = [], [(found[2], found[1], found[2], found[3]) for found in counted]
    is_counted = len(counted) == 1 and counted[0][:2] == counted[0][2:]
    entries, postings = counted[0][2:] if counted else (0, 0)
    said = f"{entries:,} entries and {postings:,} postings" + ("" if is_counted else f", the bank says {counted}")
    return LEDGER_COMPLETE.outcome(
        is_counted and not off,
        said
        + (f"; batches whose totals are not those of their entries: {_some(off)}" if off else ", as the bank says"),
        entries=entries,
        postings=postings,
        batches_off=len(off),
    )


def _journal_balances(connection: duckdb.DuckDBPyConnection) -> Outcome:
    off = _rows(
        connection,
        f"""
        SELECT entry_id, currency, sum(debit_minor) - sum(credit_minor) AS difference
        FROM {LEDGER_POSTINGS.name} GROUP BY entry_id, currency HAVING difference <> 0 ORDER BY ALL
        """,
    )
    # What an entry says of a payment, its postings to the merchants' accounts and to those of fees say again.
    untold = _rows(
        connection,
        f"""
        SELECT entry_id FROM {LEDGER_ENTRIES.name} AS entries
        LEFT JOIN (
          SELECT entry_id,
            sum(credit_minor - debit_minor) FILTER (account_id = 'merchants:' || postings.currency)
              AS to_merchants_minor,
            sum(debit_minor - credit_minor) FILTER (account_id = 'fees:' || processor || ':' || postings.currency)
              AS fees_minor
          FROM {LEDGER_POSTINGS.name} AS postings JOIN {LEDGER_ENTRIES.name} USING (entry_id) GROUP BY entry_id
        ) AS told USING (entry_id)
        WHERE kind <> 'payout' AND merchant_id <> ''
          AND booking_date = (SELECT max(booking_date) FROM {LEDGER_CLOSING.name})
          AND (amount_minor <> coalesce(to_merchants_minor, 0) OR fee_minor <> coalesce(fees_minor, 0))
        ORDER BY ALL
        """,
    )
    totals = _rows(
        connection,
        f"SELECT currency, sum(debit_minor), sum(credit_minor) FROM {LEDGER_POSTINGS.name} GROUP BY ALL ORDER BY ALL",
    )
    debits = display({currency: int(debit) for currency, debit, _ in totals}) or "nothing"
    faults = [
        *([f"entries that do not balance: {_some(off)}"] if off else []),
        *([f"entries that their postings contradict: {_some(untold)}"] if untold else []),
    ]
    return JOURNAL_BALANCES.outcome(
        not faults,
        "; ".join(faults) or f"debits equal credits: {debits}",
        unbalanced=len(off),
        contradicted=len(untold),
    )


def _rows_conserved(connection: duckdb.DuckDBPyConnection) -> Outcome:
    given = f"""
        SELECT 'platform' AS side, transaction_id AS item_id, currency, amount_minor, fee_minor
        FROM {PLATFORM_PAYMENTS.name}
        UNION ALL SELECT 'bank', entry_id::VARCHAR, currency, amount_minor, fee_minor
        FROM {LEDGER_ENTRIES.name} WHERE kind <> 'payout'
        UNION ALL SELECT side, item_id, currency, amount_minor, fee_minor FROM opening
    """
    ended = "SELECT side, item_id, currency, amount_minor, fee_minor FROM reconciled_rows"
    # What payouts are off by is a row that only the reconciliation makes.
    made = "side = 'bank' AND kind = 'payout'"
    lost = _rows(connection, f"SELECT side, item_id FROM (({given}) EXCEPT ALL {ended}) ORDER BY ALL")
    new = _rows(
        connection,
        f"SELECT side, item_id FROM ({ended} WHERE NOT ({made}) EXCEPT ALL ({given})) ORDER BY ALL",
    )
    unnamed = _rows(
        connection,
        "SELECT item_id FROM reconciled_rows LEFT JOIN audited_daily_breaks AS b USING (break_id) "
        "WHERE reconciled_rows.break_id IS NOT NULL AND b.break_id IS NULL ORDER BY ALL",
    )
    left = _rows(
        connection,
        "SELECT side, item_id FROM (SELECT side, item_id, break_id FROM reconciled_rows SEMI JOIN "
        "(FROM audited_daily_breaks WHERE status = 'open') USING (break_id) EXCEPT ALL "
        "SELECT side, item_id, break_id FROM open_items) ORDER BY ALL",
    )
    ((count, matched),) = _rows(connection, "SELECT count(*), count(*) FILTER (break_id IS NULL) FROM reconciled_rows")
    faults = [
        f"{what}: {_some(found)}"
        for what, found in (
            ("lost", lost),
            ("not there before", new),
            ("in a break that is not there", unnamed),
            ("in an open break, but not carried over", left),
        )
        if found
    ]
    return ROWS_CONSERVED.outcome(
        not faults,
        "; ".join(faults) or f"{count:,} rows: {matched:,} matched, {count - matched:,} in breaks",
        rows=count,
        matched=matched,
        in_breaks=count - matched,
    )


def _payouts_off(batches: pa.Table) -> pa.Table:
    """What each payout is off by: it should be net times rate, rounded half to even."""
    off = [
        {
            "currency": row["payout_currency"],
            "off_minor": row["payout_minor"] - round(Fraction(row["net_minor"] * row["fx_rate_e8"], FX_RATE_SCALE)),
        }
        for row in batches.to_pylist()
    ]
    return pa.Table.from_pylist(off, pa.schema([("currency", pa.string()), ("off_minor", pa.int64())]))


# Both sides of the identity per currency, from the frozen inputs; payouts that are off belong to the bank's side.
_IDENTITY = f"""
WITH amounts AS (
  SELECT 'platform' AS part, currency, amount_minor - fee_minor AS net FROM {PLATFORM_PAYMENTS.name}
  UNION ALL SELECT 'carried in', currency, CASE side WHEN 'platform' THEN 1 ELSE -1 END * (amount_minor - fee_minor)
  FROM opening
  UNION ALL SELECT 'bank', currency, amount_minor - fee_minor FROM {LEDGER_ENTRIES.name} WHERE kind <> 'payout'
  UNION ALL SELECT 'bank', currency, off_minor FROM payouts
  UNION ALL SELECT 'open', currency, net_minor FROM {AUDITED_DAILY_BREAKS.name} WHERE status = 'open'
  UNION ALL SELECT 'written off', currency, net_minor FROM {AUDITED_DAILY_BREAKS.name}
  WHERE resolution = 'written_off'
  UNION ALL SELECT 'settled platform', currency,
    gross_minor - refunds_minor - chargebacks_minor - reversals_minor - fees_minor
  FROM {AUDITED_DAILY_SETTLEMENT.name}
  UNION ALL SELECT 'settled carried in', currency, carried_in_minor FROM {AUDITED_DAILY_SETTLEMENT.name}
  UNION ALL SELECT 'settled bank', currency, bank_net_minor FROM {AUDITED_DAILY_SETTLEMENT.name}
  UNION ALL SELECT 'settled open', currency, open_breaks_minor FROM {AUDITED_DAILY_SETTLEMENT.name}
  UNION ALL SELECT 'settled written off', currency, written_off_minor FROM {AUDITED_DAILY_SETTLEMENT.name}
  UNION ALL SELECT 'earned platform', currency, gross_minor - deductions_minor - fees_minor
  FROM {AUDITED_DAILY_REVENUE.name}
)
SELECT currency, part, sum(net)::BIGINT FROM amounts GROUP BY ALL ORDER BY ALL
"""
_PARTS = ("platform", "carried in", "bank", "open", "written off")


def _money_conserved(connection: duckdb.DuckDBPyConnection) -> Outcome:
    found: dict[str, dict[str, int]] = {}
    for currency, part, net in _rows(connection, _IDENTITY):
        found.setdefault(currency, {})[part] = net
    off = {
        currency: sides
        for currency, nets in found.items()
        if (sides := _difference(nets))
        or any(nets.get(f"settled {part}", 0) != nets.get(part, 0) for part in _PARTS)
        or nets.get("earned platform", 0) != nets.get("platform", 0)
    }
    # Within the tables, row by row.
    broken = _rows(
        connection,
        f"""
        SELECT merchant_id, processor, currency FROM {AUDITED_DAILY_SETTLEMENT.name}
        WHERE net_minor <> gross_minor - refunds_minor - chargebacks_minor - reversals_minor - fees_minor
           OR net_minor + carried_in_minor <> bank_net_minor + open_breaks_minor + written_off_minor
        UNION ALL
        SELECT merchant_segment, merchant_country, currency FROM {AUDITED_DAILY_REVENUE.name}
        WHERE net_minor <> gross_minor - deductions_minor - fees_minor OR net_minor <> confirmed_minor + pending_minor
        ORDER BY ALL
        """,
    )
    faults = [
        *([f"off by {display(off)}, or a table is not what was frozen"] if off else []),
        *([f"rows that do not add up: {_some(broken)}"] if broken else []),
    ]
    nets = {currency: of.get("platform", 0) for currency, of in found.items()}
    opens = {currency: of["open"] for currency, of in found.items() if of.get("open")}
    return MONEY_CONSERVED.outcome(
        not faults,
        "; ".join(faults) or f"net {display(nets) or 'nothing'}; in open breaks {display(opens) or 'nothing'}",
        currencies=len(found),
        rows_off=len(broken),
        **{f"open {currency} (minor units)": amount for currency, amount in opens.items()},
    )


def _difference(nets: Mapping[str, int]) -> int:
    """What the identity is off by, in minor units."""
    platform, carried_in, bank, still_open, written_off = (nets.get(part, 0) for part in _PARTS)
    return platform + carried_in - bank - still_open - written_off


def _balances_roll(connection: duckdb.DuckDBPyConnection) -> Outcome:
    off = _rows(
        connection,
        f"""
        SELECT account_id FROM {AUDITED_TRIAL_BALANCE.name} AS here
        FULL JOIN {LEDGER_BALANCES.name} AS bank USING (account_id)
        FULL JOIN balances_before AS before USING (account_id)
        WHERE here.closing_minor IS DISTINCT FROM coalesce(bank.closing_minor, 0)
           OR here.opening_minor IS DISTINCT FROM coalesce(before.closing_minor, 0)
           OR here.closing_minor <> here.opening_minor + here.debits_minor - here.credits_minor
        ORDER BY ALL
        """,
    )
    ((accounts,),) = _rows(connection, f"SELECT count(*) FROM {AUDITED_TRIAL_BALANCE.name}")
    summary = f"accounts that do not roll forward: {_some(off)}" if off else f"{accounts:,} accounts roll forward"
    return BALANCES_ROLL.outcome(not off, summary, accounts=accounts, off=len(off))


def _within_tolerance(outputs: Mapping[str, pa.Table], policy: FinancePolicy, approval: str) -> Outcome:
    found = unexplained(outputs[AUDITED_DAILY_BREAKS.name], policy)
    beyond = beyond_tolerance(outputs, policy)
    days = policy.explained_within_days
    old = f"open breaks older than {days} days leave {display(found)} unexplained" if found else ""
    if not beyond:
        return WITHIN_TOLERANCE.outcome(True, old or f"no open break is older than {days} days")
    figures = {f"unexplained {currency} (minor units)": amount for currency, amount in beyond.items()}
    if approval:
        return WITHIN_TOLERANCE.outcome(True, f"{old}; {approval}", **figures)
    return WITHIN_TOLERANCE.outcome(
        False,
        f"{old}: resolve them (`tollgate finance breaks --open --older-than {days}d`), or let two people sign for the "
        "day (`tollgate finance approve`)",
        **figures,
    )

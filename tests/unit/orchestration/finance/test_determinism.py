"""The same day gives the same hashes, whatever the order of rows, the threads, the locale and the time zone."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
HASHES = """
import random, sys
from data.bank.breaks import BreakMix
from data.bank.simulate import book
from expectations.finance import *
from expectations.thresholds import FINANCE
from orchestration.finance.audited_tables import audited_tables
from orchestration.finance.canonical import content_hash
from orchestration.finance.reconcile import DayInputs, reconcile
from tests.support.bank_truth import frozen
from tests.unit.orchestration.finance.test_bank_truth import FIRST, some_payments

seed, threads = int(sys.argv[1]), int(sys.argv[2])
mix = BreakMix(**{name: 0.05 for name in ("missing_at_bank", "late_posting", "amount_mismatch", "duplicate_posting",
                                          "garbled_reference", "split")}, batched=0.3, fx_rounding=0.5)
payments = some_payments(3)
books = book(payments, FIRST, FIRST, 3, mix)
bank = frozen(books.days[FIRST], books.balances[FIRST], FIRST)

def shuffled(table):
    order = list(range(table.num_rows))
    random.Random(seed).shuffle(order)
    return table.take(order)

of_day = shuffled(payments.filter([day == FIRST for day in payments["business_date"].to_pylist()]))
bank = {name: shuffled(table) for name, table in bank.items()}
opening, before = OPEN_ITEMS.arrow().empty_table(), AUDITED_TRIAL_BALANCE.arrow().empty_table()
found = reconcile(DayInputs(FIRST, of_day, bank["ledger_entries"], bank["ledger_batches"], opening), FINANCE, threads)
tables = audited_tables(FIRST, found, of_day, bank["ledger_postings"], before)
for schema in DAY_TABLES:
    print(schema.name, tables[schema.name].num_rows, content_hash(tables[schema.name], schema))
print(content_hash(found.rows, RECONCILED_ROWS), content_hash(found.open_items, OPEN_ITEMS))
"""


def hashes(seed: int, threads: int, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", HASHES, str(seed), str(threads)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_shuffled_rows_threads_locale_and_time_zone_change_no_hash():
    expected = hashes(1, 1, TZ="UTC", LC_ALL="C", PYTHONHASHSEED="1")
    assert len(expected.splitlines()) == 5
    assert hashes(2, 4, TZ="Asia/Tokyo", LC_ALL="tr_TR.UTF-8", PYTHONHASHSEED="2") == expected
    assert hashes(3, 2, TZ="America/St_Johns", LC_ALL="de_DE.UTF-8", PYTHONHASHSEED="3") == expected


@pytest.mark.slow_contract
def test_a_day_that_breaks_its_contract_is_blocked(tmp_path: Path):
    from expectations.catalog import Lake
    from orchestration.finance.publishing import DayBlocked
    from tests.support.finance import DAY, Books, payments, plain_day

    books = Books(Lake(tmp_path / "lake"))
    books.open()
    platform, bank = plain_day(DAY)
    books.freeze(payments(*({**row, "kind": "gift"} for row in platform.to_pylist())), bank)
    judged = books.judge()
    (failed,) = [check for check in judged.verdict.failed if check.check == "staging_satisfies_contract"]
    assert "platform_payments.kind column_values_to_be_in_set" in failed.summary
    with pytest.raises(DayBlocked, match="staging_satisfies_contract"):
        books.publisher.publish(DAY)
    books.freeze(payments(*({**row, "business_date": date(2026, 10, 11)} for row in platform.to_pylist())), bank)
    assert any("rows of another day" in check.summary for check in books.judge().verdict.failed)
    books.run(platform, bank)

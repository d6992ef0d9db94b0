"""The demo log line by line: its columns, spellings, identifiers, money and card numbers."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pycountry
import pytest

from data.log_files import truth_path
from data.log_format import LOG_COLUMNS, TRUTH_COLUMNS
from data.vocabulary import (
    AGE_BANDS,
    Decline,
    EntryMode,
    EventType,
    Network,
    Solution,
    ThreeDs,
    labels,
)


def test_has_the_announced_rows_columns_and_times(demo_simulation, ask):
    with demo_simulation.log.open("rb") as file:
        content = file.read()
    first_line, _, rest = content.partition(b"\n")
    assert first_line.decode() == ",".join(LOG_COLUMNS)
    assert rest.endswith(b"\n")
    assert not set(b'"\r') & set(content)
    assert rest.count(b"\n") == demo_simulation.rows == ask("select count(*) from log") == 400_000
    first, last = ask("select min(event_timestamp), max(event_timestamp) from log")
    assert demo_simulation.first_at == datetime.fromisoformat(first)
    assert demo_simulation.last_at == datetime.fromisoformat(last)
    end = datetime(2026, 11, 1, tzinfo=UTC)
    assert end - timedelta(days=35) <= demo_simulation.first_at < end - timedelta(days=34, hours=23)
    assert end - timedelta(hours=1) < demo_simulation.last_at < end


def test_truth_has_a_line_per_line_of_the_log(demo_simulation, ask):
    with truth_path(demo_simulation.log).open() as file:
        assert file.readline() == ",".join(TRUTH_COLUMNS) + "\n"
    assert ask("select count(*) from log join truth using (line, transaction_id)") == demo_simulation.rows
    assert ask("select count(*) from truth where (is_fraud = 'true') <> (scenario is not null)") == 0
    assert ask("select count(*) from truth where is_fraud = 'true'") == demo_simulation.frauds


def test_is_in_time_order(ask):
    assert ask("""
        select bool_and(line = place)
        from (select line, row_number() over (order by event_timestamp, line) as place from log)
    """)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("event_type", labels(EventType)),
        ("gender", ["F", "M", None]),
        ("age_band", list(AGE_BANDS)),
        ("card_network", labels(Network)),
        ("payment_solution", labels(Solution)),
        ("entry_mode", labels(EntryMode)),
        ("uses_3ds", ["true", "false"]),
        ("three_ds_outcome", [*labels(ThreeDs), None]),
        ("is_approved", ["true", "false"]),
        ("decline_reason", [*labels(Decline), None]),
        ("is_retry", ["true", "false"]),
        ("attempt", ["1", "2", "3", "4"]),
    ],
)
def test_closed_lists(demo, column, words):
    assert {word for (word,) in demo.execute(f"select distinct {column} from log").fetchall()} == set(words)


@pytest.mark.parametrize(
    ("column", "pattern", "may_be_empty"),
    [
        ("transaction_id", "T[0-9A-Z]{7}", False),
        ("original_transaction_id", "T[0-9A-Z]{7}", True),
        ("retry_of", "T[0-9A-Z]{7}", True),
        ("customer_id", "C[0-9A-Z]{4}", False),
        ("merchant_id", "M[0-9A-Z]{3}", False),
        ("device_id", "D[0-9A-Z]{6}", True),
        ("settlement_batch_id", "SB-[a-z]+-2026[01][0-9][0-3][0-9]", True),
        ("event_timestamp", r"2026-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d{3}Z", False),
        ("mcc", r"\d{4}", False),
        ("merchant_name", "[A-Za-z ]+", False),
        ("weight", r"\d+\.\d{4}", False),
        ("fraud_score", r"0\.\d{4}|1\.0000", True),
        ("aml_score", r"0\.\d{4}|1\.0000", True),
        ("device_trust_score", r"0\.\d{4}|1\.0000", True),
        ("lat", r"-?\d{1,2}\.\d{4}", True),
        ("lon", r"-?\d{1,3}\.\d{4}", True),
        ("latency_ms", r"\d+", False),
    ],
)
def test_spellings(ask, column, pattern, may_be_empty):
    wrong = f"{column} is null" if not may_be_empty else "false"
    assert ask(f"select count(*) from log where {wrong} or not regexp_full_match({column}, '{pattern}')") == 0


def test_identifiers_are_unique_and_cannot_look_like_card_numbers(ask):
    assert ask("select count(distinct transaction_id) from log") == 400_000
    others = "concat_ws(',', columns(* exclude (card_number)))"
    assert ask(f"select count(*) from log where regexp_matches({others}, '[0-9]{{12}}')") == 0


def test_money_has_its_currencys_places_and_is_positive(demo):
    exponents = {"JPY": 0, "BHD": 3}  # ISO 4217; the other currencies here have 2
    seen = set()
    for currency, amount, fee in demo.execute("select distinct currency, amount, fee from log").fetchall():
        exponent = exponents.get(currency, 2)
        places = rf"\d+\.\d{{{exponent}}}" if exponent else r"\d+"
        assert all(re.fullmatch(places, money) for money in (amount, fee)), (currency, amount, fee)
        assert amount.strip("0.")
        seen.add(currency)
    assert seen >= {"EUR", "GBP", "USD", "JPY", "SEK", "BHD"}
    assert all(pycountry.currencies.get(alpha_3=currency) for currency in seen)


def test_a_merchant_has_one_name_trade_country_and_currency(ask):
    columns = "merchant_id, merchant_name, merchant_segment, mcc, merchant_country, currency"
    assert ask(f"select count(*) from (select distinct {columns} from log)") == ask(
        "select count(distinct merchant_id) from log"
    )


PREFIXES_AND_LENGTHS = {
    "visa": (r"4", {16}),
    "mastercard": (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", {16}),
    "amex": (r"3[47]", {15}),
    "discover": (r"6011|65", {16}),
    "jcb": (r"35(2[89]|[3-8])", {16}),
    "unionpay": (r"62", {16, 17, 18, 19}),
}


def test_card_numbers_have_their_networks_prefix_and_length_and_pass_luhn(demo):
    cards = demo.execute("select distinct card_number, card_network from log").fetchall()
    for number, network in cards:
        prefix, lengths = PREFIXES_AND_LENGTHS[network]
        assert re.match(prefix, number), (number, network)
        assert len(number) in lengths, (number, network)
        assert passes_luhn(number), number
    assert len({number for number, _ in cards}) == len(cards)


def test_a_customer_has_one_to_four_cards(ask):
    held = "select count(distinct card_number) as cards from log group by customer_id"
    assert ask(f"select min(cards), max(cards) from ({held})") == (1, 4)


def passes_luhn(number: str) -> bool:
    digits = np.array([int(digit) for digit in reversed(number)])
    doubled = 2 * digits[1::2]
    return (digits[::2].sum() + (doubled // 10 + doubled % 10).sum()) % 10 == 0

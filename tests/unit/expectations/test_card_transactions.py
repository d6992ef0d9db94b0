"""The card-transactions format: each of its quirks, and the two files that are joined to it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.catalog import Lake
from expectations.errors import SourceError
from expectations.settings import Settings
from expectations.sources.references import References
from orchestration.chunking.assemble import make_chunker
from orchestration.chunking.audit import check_lake
from orchestration.chunking.follow import drain
from tests.support import adapting, lake_contents
from tests.support.adapting import adapted_entries
from tests.support.card_data import TOKEN_KEY, VISA, grouped, token
from tests.support.card_transactions import (
    ABROAD,
    CARD,
    MASTERCARD,
    ONLINE,
    TRANSACTION,
    USER,
    csv_file,
    transactions,
    write_references,
)

SERIAL_ZERO = datetime(1899, 12, 30, tzinfo=UTC)


def landed(references: References | None = None, **changes: str) -> dict:
    """What is known of the event that one transaction becomes."""
    (entry,) = adapted_entries(transactions(changes), references=references)
    assert entry.row is not None, entry
    return {name: value for name, value in entry.row.items() if value is not None}


def rejected(**changes: str) -> tuple[str, str]:
    (entry,) = adapted_entries(transactions(changes))
    assert entry.row is None
    return entry.reason, entry.column


def test_a_line_column_by_column():
    assert landed() == {
        "transaction_id": "7475327",
        "event_type": "refund",
        "event_timestamp": datetime(2010, 1, 1, 0, 1, tzinfo=UTC),
        "customer_id": "1556",
        "merchant_id": "59935",
        "merchant_segment": "Miscellaneous food shops -- convenience and speciality retail outlets",
        "mcc": "5499",
        "merchant_country": "US",
        "merchant_region": "ND",
        "merchant_postal_code": "58523",
        "amount_minor": 7700,
        "currency": "USD",
        "weight": 770_000,
        "payment_solution": "card",
        "entry_mode": "magstripe",
        "city": "Beulah",
        "is_approved": True,
    }


@pytest.mark.parametrize(
    ("amount", "event_type", "amount_minor"),
    [
        ("$14.57", "authorisation", 1_457),
        ("$-77.00", "refund", 7_700),
        ("$0.00", "authorisation", 0),
        ("$-0.01", "refund", 1),
        ("$200", "authorisation", 20_000),
        ("12.5", "authorisation", 1_250),
        ("-12.5", "refund", 1_250),
    ],
)
def test_amounts(amount: str, event_type: str, amount_minor: int):
    row = landed(amount=amount)
    assert (row["event_type"], row["amount_minor"], row["weight"]) == (event_type, amount_minor, amount_minor * 100)


@pytest.mark.parametrize("amount", ["$", "$-", "$1,234.00", "$$5", "($5.00)", "€5.00", "$1.234", "-$5.00", "$5-"])
def test_amounts_that_are_none(amount: str):
    assert rejected(amount=amount) == ("bad_number", "amount")


@given(
    moment=st.integers(61 * 86_400, 109_575 * 86_400 - 1).map(lambda seconds: SERIAL_ZERO + timedelta(seconds=seconds))
)
@settings(deadline=None)
def test_a_serial_date_says_the_same_as_the_date(moment: datetime):
    """As spreadsheets write it: as many digits as a double has, or five behind the point; to the second or so."""
    serial = (moment - SERIAL_ZERO) / timedelta(days=1)
    assert landed(date=repr(serial))["event_timestamp"] == moment
    assert landed(date=f"{moment:%Y-%m-%d %H:%M:%S}")["event_timestamp"] == moment
    assert abs(landed(date=f"{serial:.5f}")["event_timestamp"] - moment) <= timedelta(seconds=1)


def test_serial_dates_beside_dates():
    dates = {
        "40179": "2010-01-01T00:00:00",
        "40179.000694": "2010-01-01T00:01:00",
        "2010-01-02": "2010-01-02T00:00:00",
    }
    entries = adapted_entries(transactions(*({"date": date} for date in dates)))
    assert [f"{entry.row['event_timestamp']:%Y-%m-%dT%H:%M:%S}" for entry in entries] == [*dates.values()]


@pytest.mark.parametrize("date", ["60", "60.99", "109575", "999999", "40179.", "-40179", "1/1/2010", "4.0179E+04"])
def test_dates_that_are_none(date: str):
    assert rejected(date=date) == ("bad_instant", "date")


@pytest.mark.parametrize(
    ("state", "country", "region"),
    [
        ("ND", "US", "ND"),
        ("AA", "US", "AA"),
        ("Italy", "IT", None),
        ("Vatican City", "VA", None),
        ("South Korea", "KR", None),
        ("Atlantis", None, "Atlantis"),
        ("", None, None),
    ],
)
def test_states_and_countries(state: str, country: str | None, region: str | None):
    row = landed(merchant_state=state)
    assert (row.get("merchant_country"), row.get("merchant_region")) == (country, region)


def test_online_is_no_city():
    row = landed(**ONLINE)
    assert row["entry_mode"] == "ecommerce"
    assert not {"city", "merchant_country", "merchant_region", "merchant_postal_code"} & {*row}


def test_a_shop_abroad():
    row = landed(**ABROAD)
    assert (row["city"], row["merchant_country"]) == ("Rome", "IT") and "merchant_postal_code" not in row


@pytest.mark.parametrize(
    ("code", "postal_code"),
    [
        ("58523.0", "58523"),
        ("1234.0", "01234"),
        ("501", "00501"),
        ("02139-4307", "02139-4307"),
        ("SW1A 1AA", "SW1A 1AA"),
    ],
)
def test_float_zips(code: str, postal_code: str):
    assert landed(zip=code)["merchant_postal_code"] == postal_code


@pytest.mark.parametrize(("code", "mcc"), [("5499", "5499"), ("742", "0742"), ("4829.0", "4829"), ("99999", "99999")])
def test_category_codes(code: str, mcc: str):
    assert landed(mcc=code)["mcc"] == mcc


def test_an_unknown_category_has_no_segment():
    assert "merchant_segment" not in landed(mcc="9999")


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ("Insufficient Balance", "insufficient_funds"),
        ("Bad PIN,Insufficient Balance", "invalid_pin,insufficient_funds"),
        ("Bad CVV, Technical Glitch,", "invalid_cvv,technical_error"),
        ("Bad Expiration", "invalid_expiry"),
        ("Card Eaten", "card_eaten"),
    ],
)
def test_errors_are_reasons_of_a_decline(errors: str, reason: str):
    row = landed(errors=errors)
    assert (row["is_approved"], row["decline_reason"]) == (False, reason)


def test_without_a_column_of_errors_nobody_knows_of_approvals():
    columns = [name for name in TRANSACTION if name != "errors"]
    (entry,) = adapted_entries(csv_file([{name: TRANSACTION[name] for name in columns}], columns))
    assert entry.row["is_approved"] is None


def test_an_unknown_way_of_paying_is_rejected():
    assert rejected(use_chip="Telepathy") == ("not_allowed", "use_chip")
    assert "entry_mode" not in landed(use_chip="")


def test_cards_and_users_are_joined_where_given(tmp_path: Path):
    references = write_references(
        tmp_path,
        cards=[
            CARD | {"id": "1", "card_brand": "Mastercard", "card_number": MASTERCARD},
            CARD | {"card_number": grouped(VISA, " ")},
        ],
    )
    row = landed(references)
    assert (row["card_token"], row["card_bin6"], row["card_last4"]) == (token(VISA), "411111", "1111")
    assert (row["card_network"], row["gender"], row["age_band"]) == ("visa", "F", "35-44")
    stranger = landed(references, card_id="77", client_id="77")
    assert not {"card_token", "card_bin6", "card_last4", "card_network", "gender", "age_band"} & {*stranger}


@pytest.mark.parametrize(
    ("date", "age_band"),
    [("1984-10-31", "0-17"), ("1984-11-01", "18-24"), ("1991-11-30", "25-34"), ("2031-11-01", "65+")],
)
def test_the_age_is_that_of_the_event(tmp_path: Path, date: str, age_band: str):
    assert landed(write_references(tmp_path), date=date)["age_band"] == age_band


@pytest.mark.parametrize(
    ("cards", "says"),
    [
        ([CARD, CARD], "stands there twice"),
        ([CARD | {"id": ""}], "an id is missing"),
        ([CARD, CARD | {"id": "2", "card_number": "4.34468E+15"}], "record 2 has no card number"),
        ([CARD | {"card_number": ""}], "record 1 has no card number"),
    ],
)
def test_cards_that_cannot_be_joined_stop_with_one_clear_line(tmp_path: Path, cards: list, says: str):
    with pytest.raises(SourceError, match=says) as caught:
        landed(write_references(tmp_path, cards))
    assert "cards_data.csv" in str(caught.value) and VISA not in str(caught.value)


def test_files_that_are_none(tmp_path: Path):
    with pytest.raises(SourceError, match="no such file"):
        landed(References(tmp_path / "none.csv", None, adapting.tests_tokeniser))
    (tmp_path / "cards.csv").write_text(f"id,number\n1,{VISA}\n")
    with pytest.raises(SourceError, match="columns id, card_brand, card_number") as caught:
        landed(References(tmp_path / "cards.csv", None, adapting.tests_tokeniser))
    assert VISA not in str(caught.value)


def test_through_the_gates_no_card_number_and_no_cvv(tmp_path: Path):
    """As the command runs it: entries conserved, and neither numbers nor CVVs anywhere in the lake."""
    write_references(tmp_path)
    rows = [{"id": str(number), "amount": f"${number}.25"} for number in range(1, 40)]
    (tmp_path / "transactions_data.csv").write_bytes(transactions(*rows, {"amount": "?"}, ONLINE))
    chunker = make_chunker(
        Settings(
            log=tmp_path / "transactions_data.csv",
            lake=tmp_path / "lake",
            cards=tmp_path / "cards_data.csv",
            users=tmp_path / "users_data.csv",
            chunk_size=10,
            token_key=TOKEN_KEY.decode(),
        )
    )
    with chunker.alone():
        ticks = [*drain(chunker, is_final=True)]
    assert (sum(tick.rows for tick in ticks), sum(tick.quarantined for tick in ticks)) == (40, 1)
    lake = Lake(tmp_path / "lake")
    assert not [outcome for outcome in check_lake(lake, []) if not outcome.passed]
    stored = lake_contents.rows(lake, "payments_raw_bronze", "_row_number")
    assert {row["card_token"] for row in stored} == {token(VISA)} and {row["gender"] for row in stored} == {"F"}
    everything = b"".join(lake_contents.files(lake.root).values()) + str(stored).encode()
    assert not [secret for secret in (VISA, CARD["cvv"], USER["address"]) if secret.encode() in everything]

"""Adapters: any log, however it is cut into blocks, becomes what the reference says; and each rule by itself."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.currencies import minor_unit_exponents
from expectations.errors import SettingsError, SourceError
from expectations.payments import EVENT_TYPES, MAX_AMOUNT_MINOR, PAYMENT
from expectations.sources.adapter import SourceAdapter
from expectations.sources.columns import Reason, text
from expectations.sources.registry import ADAPTERS, recognise
from expectations.thresholds import MAX_ENTRY_BYTES
from tests.support.adapting import adapted_blocks, adapted_entries
from tests.support.card_data import VISA, card_number, spellings, token
from tests.support.payment_logs import (
    BANKSIM_LINE,
    PAYMENT_LINE,
    REQUIRED,
    banksim,
    banksim_log,
    csv_log,
    payment,
)
from tests.support.payment_strategies import MadeUpLog, logs
from tests.support.reference_adapter import DAY_ZERO, Entry

CENT = {"EUR": Decimal("0.01"), "JPY": Decimal(1), "KWD": Decimal("0.001"), "CLF": Decimal("0.0001")}
"""The smallest unit of some currencies, ISO 4217."""


def only(log: bytes) -> Entry:
    (entry,) = adapted_entries(log)
    return entry


def landed(**changes: str) -> dict:
    """The event that a payment of ours becomes."""
    entry = only(csv_log([payment(**changes)]))
    assert entry.row is not None, entry
    return entry.row


def rejected(**changes: str) -> tuple[str, str]:
    """Why a payment of ours becomes none: reason and source column."""
    entry = only(csv_log([payment(**changes)]))
    assert entry.row is None
    return entry.reason, entry.column


@given(log=logs(max_lines=12), limits=st.lists(st.integers(1, 20), min_size=1, max_size=4))
@settings(deadline=None, max_examples=250)
def test_every_entry_becomes_what_the_reference_says(log: MadeUpLog, limits: list[int]):
    """Events and rejections, in order, whatever stands beside an entry in its block."""
    assert adapted_entries(log.content, limits) == log.entries()


def test_a_line_of_ours_column_by_column():
    assert landed() == {
        "transaction_id": "T1",
        "event_type": "authorisation",
        "original_transaction_id": None,
        "settlement_batch_id": None,
        "event_timestamp": datetime(2026, 10, 1, 12, 34, 56, 789_000, tzinfo=UTC),
        "customer_id": "C1",
        "gender": "F",
        "age_band": "25-34",
        "merchant_id": "M1",
        "merchant_name": "Café Zoë",
        "merchant_segment": "restaurants",
        "mcc": "5812",
        "merchant_country": "DE",
        "merchant_region": "BE",
        "merchant_postal_code": "10115",
        "amount_minor": 1234,
        "fee_minor": 25,
        "currency": "EUR",
        "weight": 5000,
        "card_token": token(VISA),
        "card_bin6": "411111",
        "card_last4": "1111",
        "card_network": "visa",
        "issuer_country": "DE",
        "payment_solution": "card",
        "processor": "adyen",
        "entry_mode": "chip",
        "uses_3ds": False,
        "three_ds_outcome": None,
        "device_id": "D1",
        "device_trust_score": 0.75,
        "ip_country": "DE",
        "lat": 52.52,
        "lon": -13.405,
        "city": "Berlin",
        "fraud_score": 0.0123,
        "aml_score": 1.0,
        "is_approved": True,
        "decline_reason": None,
        "is_retry": False,
        "retry_of": None,
        "attempt": 1,
        "latency_ms": 120,
    }


def test_a_line_of_banksim_column_by_column():
    """Steps are days, quotes are single, U is unknown, and what it lacks is null."""
    unlike_null = {
        "transaction_id": "banksim-0",
        "event_type": "authorisation",
        "event_timestamp": datetime(2026, 1, 31, tzinfo=UTC),
        "customer_id": "C1093826151",
        "gender": "E",
        "merchant_id": "M348934600",
        "merchant_segment": "es_transportation",
        "amount_minor": 455,
        "currency": "EUR",
        "weight": 45500,
    }
    row = only(banksim_log([banksim(step="30", gender="E", age="U")])).row
    assert row == dict.fromkeys(PAYMENT.columns) | unlike_null


def test_banksim_steps_count_from_the_configured_day():
    days = [only(banksim_log([banksim(step=step)])).row["event_timestamp"] for step in ("0", "1", "179")]
    assert [(day - DAY_ZERO).days for day in days] == [0, 1, 179]


def test_banksim_needs_no_key():
    """Its tokeniser is never made: there is no card number."""

    def no_key():
        raise SettingsError("no key")

    log = banksim_log([banksim(), banksim(amount="x")])
    ((_, adapted),) = adapted_blocks(log, make_tokeniser=no_key)
    assert (len(adapted.rows), len(adapted.rejections)) == (1, 1)


def test_columns_may_stand_in_any_order_and_further_ones_are_left_out():
    line = payment(note="not ours")
    backwards = csv_log([line], columns=reversed(line))
    assert only(backwards).row == landed()


def test_columns_that_are_not_required_may_be_absent():
    row = only(csv_log([payment()], columns=REQUIRED)).row
    assert {name for name, value in row.items() if value is not None} == {
        *("transaction_id", "event_type", "event_timestamp", "customer_id", "merchant_id", "currency", "weight"),
        *("amount_minor", "card_token", "card_bin6", "card_last4"),
    }


REJECTED = [
    ({"transaction_id": ""}, Reason.MISSING_VALUE, "transaction_id"),
    ({"event_type": ""}, Reason.MISSING_VALUE, "event_type"),
    ({"event_timestamp": ""}, Reason.MISSING_VALUE, "event_timestamp"),
    ({"customer_id": ""}, Reason.MISSING_VALUE, "customer_id"),
    ({"merchant_id": ""}, Reason.MISSING_VALUE, "merchant_id"),
    ({"amount": ""}, Reason.MISSING_VALUE, "amount"),
    ({"currency": ""}, Reason.MISSING_VALUE, "currency"),
    ({"weight": ""}, Reason.MISSING_VALUE, "weight"),
    ({"amount": "12,34"}, Reason.BAD_NUMBER, "amount"),
    ({"amount": "1e3"}, Reason.BAD_NUMBER, "amount"),
    ({"amount": "NaN"}, Reason.BAD_NUMBER, "amount"),
    ({"amount": "12.345"}, Reason.BAD_NUMBER, "amount"),
    ({"amount": "0.5", "currency": "JPY"}, Reason.BAD_NUMBER, "amount"),
    ({"amount": "0.00001", "currency": "CLF"}, Reason.BAD_NUMBER, "amount"),
    ({"amount": "100000000000"}, Reason.BAD_NUMBER, "amount"),
    ({"fee": "0.001"}, Reason.BAD_NUMBER, "fee"),
    ({"weight": "0.12345"}, Reason.BAD_NUMBER, "weight"),
    ({"fraud_score": "high"}, Reason.BAD_NUMBER, "fraud_score"),
    ({"attempt": "40000"}, Reason.BAD_NUMBER, "attempt"),
    ({"latency_ms": "1.5"}, Reason.BAD_NUMBER, "latency_ms"),
    ({"latency_ms": "2147483648"}, Reason.BAD_NUMBER, "latency_ms"),
    ({"event_timestamp": "2026-02-29T00:00:00Z"}, Reason.BAD_INSTANT, "event_timestamp"),
    ({"event_timestamp": "01.10.2026"}, Reason.BAD_INSTANT, "event_timestamp"),
    ({"event_timestamp": "2026-10-01T2:34:56Z"}, Reason.BAD_INSTANT, "event_timestamp"),
    ({"event_timestamp": "1066-10-14T09:00:00Z"}, Reason.BAD_INSTANT, "event_timestamp"),
    ({"is_approved": "yes"}, Reason.BAD_BOOLEAN, "is_approved"),
    ({"card_number": "4111 1111"}, Reason.BAD_CARD_NUMBER, "card_number"),
    ({"card_number": "4111x1111x1111x1111"}, Reason.BAD_CARD_NUMBER, "card_number"),
    ({"currency": "XXX"}, Reason.UNKNOWN_CURRENCY, "currency"),
    ({"currency": "eur"}, Reason.UNKNOWN_CURRENCY, "currency"),
    ({"amount": "1000000000.01"}, Reason.OUT_OF_RANGE, "amount"),
    ({"amount": "-1000000000.01"}, Reason.OUT_OF_RANGE, "amount"),
    ({"weight": "10000000.0001"}, Reason.OUT_OF_RANGE, "weight"),
    ({"fraud_score": "1.0001"}, Reason.OUT_OF_RANGE, "fraud_score"),
    ({"lat": "-90.5"}, Reason.OUT_OF_RANGE, "lat"),
    ({"lon": "180.5"}, Reason.OUT_OF_RANGE, "lon"),
    ({"attempt": "0"}, Reason.OUT_OF_RANGE, "attempt"),
    ({"latency_ms": "-1"}, Reason.OUT_OF_RANGE, "latency_ms"),
    ({"event_type": "purchase"}, Reason.NOT_ALLOWED, "event_type"),
]
"""One cell wrong, and what is said of it."""

REJECTED_LINES = {
    Reason.UNTERMINATED_QUOTE: b'"T1,capture\n',
    Reason.BAD_ENCODING: csv_log([payment(city="Malmö")]).split(b"\n", 1)[1].decode().encode("latin-1"),
    Reason.WRONG_FIELD_COUNT: b"T1,capture\n",
    Reason.MALFORMED_RECORD: csv_log([payment(city="one\rtwo")]).split(b"\n", 1)[1],
}
"""Lines that are no record of the header's columns."""


@pytest.mark.parametrize(("changes", "reason", "column"), REJECTED, ids=lambda value: str(value)[:40])
def test_a_bad_cell_has_its_reason(changes: dict[str, str], reason: Reason, column: str):
    assert rejected(**changes) == (reason, column)


@pytest.mark.parametrize(("reason", "line"), REJECTED_LINES.items())
def test_a_bad_line_has_its_reason_and_its_neighbours_do_not_suffer(reason: Reason, line: bytes):
    good = csv_log([payment(customer_id="before")])
    entries = adapted_entries(good + line + good.split(b"\n", 1)[1])
    assert [entry.reason for entry in entries] == [None, reason, None]
    assert entries[1].content == line


def test_a_record_has_at_most_64_kib_and_the_start_of_a_longer_one_is_kept():
    """Else one line of a broken file would fill a chunk, and readers that go block by block would stumble."""
    line = csv_log([payment(city="")]).split(b"\n", 1)[1]
    longest = line.replace(b"-13.4050,,", b"-13.4050," + b"x" * (MAX_ENTRY_BYTES - len(line)) + b",")
    assert len(longest) == MAX_ENTRY_BYTES
    log = csv_log([]) + longest + longest.replace(b"xx", b"xxx", 1) + line
    ((_, adapted),) = adapted_blocks(log)
    assert adapted.entries.tolist() == [0, 2]
    (rejection,) = adapted.rejections
    assert (rejection.reason, rejection.byte_length) == (Reason.MALFORMED_RECORD, MAX_ENTRY_BYTES + 1)
    assert len(rejection.raw) <= MAX_ENTRY_BYTES


def test_every_reason_is_tried():
    assert {reason for _, reason, _ in REJECTED} | {*REJECTED_LINES} == {*Reason}


def test_the_first_fault_is_told_and_the_currency_comes_before_the_amounts_that_need_it():
    assert rejected(currency="XXX", amount="12.34", fee="x") == (Reason.UNKNOWN_CURRENCY, "currency")
    assert rejected(customer_id="", amount="x") == (Reason.MISSING_VALUE, "customer_id")


def test_a_rejection_tells_the_money_where_it_can_be_read():
    wrong_type = only(csv_log([payment(event_type="purchase", amount="7.5")]))
    wrong_currency = only(csv_log([payment(currency="XXX")]))
    wrong_amount = only(csv_log([payment(amount="x")]))
    money = [(entry.amount_minor, entry.currency) for entry in (wrong_type, wrong_currency, wrong_amount)]
    assert money == [(750, "EUR"), (None, None), (None, "EUR")]


def test_the_bounds_themselves_are_allowed():
    top = str(Decimal(MAX_AMOUNT_MINOR) / 100)
    assert landed(amount=top)["amount_minor"] == MAX_AMOUNT_MINOR
    assert landed(amount=f"-{top}")["amount_minor"] == -MAX_AMOUNT_MINOR
    row = landed(fraud_score="0", aml_score="1", lat="-90", lon="180", attempt="1000", latency_ms="0")
    assert [row[name] for name in ("fraud_score", "aml_score", "lat", "lon", "attempt", "latency_ms")] == [
        *(0, 1, -90, 180, 1000, 0)
    ]


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_event_type_is_taken(event_type: str):
    assert landed(event_type=event_type)["event_type"] == event_type


def test_only_nothing_is_null():
    """Empty and quoted empty alike; words that mean nothing elsewhere are texts here."""
    for word in ("NULL", "null", "NA", "nan", "None", "-", " "):
        assert landed(city=word)["city"] == word
    quoted = csv_log([payment(city="KYOTO")]).replace(b"KYOTO", b'""')
    assert only(quoted).row["city"] is None


@given(minor=st.integers(-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR), currency=st.sampled_from(sorted(CENT)))
@settings(deadline=None, max_examples=60)
def test_money_is_exact_in_every_currency(minor: int, currency: str):
    amount = minor * CENT[currency]
    if abs(amount) < 10**11:
        assert landed(amount=f"{amount:f}", currency=currency, fee="")["amount_minor"] == minor


@given(
    amount=st.decimals(-(10**6), 10**6, places=4, allow_nan=False, allow_infinity=False),
    currency=st.sampled_from(sorted(CENT)),
)
@settings(deadline=None, max_examples=60)
def test_money_finer_than_its_currency_is_rejected_never_rounded(amount: Decimal, currency: str):
    entry = only(csv_log([payment(amount=f"{amount:f}", currency=currency, fee="")]))
    if amount % CENT[currency] == 0:
        assert entry.row["amount_minor"] * CENT[currency] == amount
    else:
        assert (entry.reason, entry.column) == (Reason.BAD_NUMBER, "amount")


def test_every_currency_with_a_minor_unit_is_known():
    codes = sorted(minor_unit_exponents())
    entries = adapted_entries(csv_log([payment(currency=code, amount="3", fee="") for code in codes]))
    assert [entry.row["amount_minor"] for entry in entries] == [3 * 10 ** minor_unit_exponents()[c] for c in codes]
    assert {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3, "CLF": 4}.items() <= minor_unit_exponents().items()


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2026-10-01T12:34:56.789Z", "2026-10-01T12:34:56.789"),
        ("2026-10-01 12:34:56", "2026-10-01T12:34:56"),
        ("2026-10-01T12:34", "2026-10-01T12:34"),
        ("2026-10-01", "2026-10-01"),
        ("2026-10-01T00:30:00+05:30", "2026-09-30T19:00"),
        ("2026-10-01T23:30:00-0100", "2026-10-02T00:30"),
        ("2026-10-01T12:00:00.123456789Z", "2026-10-01T12:00:00.123456"),
        ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999"),
        ("1900-01-01", "1900-01-01"),
        ("2199-12-31T23:59:59Z", "2199-12-31T23:59:59"),
    ],
)
def test_instants_become_utc(written: str, utc: str):
    expected = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert landed(event_timestamp=written)["event_timestamp"] == expected
    # The same beside one that needs the slower way.
    beside = adapted_entries(csv_log([payment(event_timestamp="2026-10-01"), payment(event_timestamp=written)]))
    assert beside[1].row["event_timestamp"] == expected


def test_an_instant_without_an_offset_does_not_take_that_of_the_row_before():
    written = ["2026-10-01T12:00:00+05:30", "2026-10-01T12:00:00", "2026-10-01", "2026-10-01 12:00:00.5"]
    entries = adapted_entries(csv_log([payment(event_timestamp=text) for text in written]))
    times = [entry.row["event_timestamp"].isoformat()[11:21] for entry in entries]
    assert times == ["06:30:00+0", "12:00:00+0", "00:00:00+0", "12:00:00.5"]


@pytest.mark.parametrize("written", ["true", "TRUE", "True", "1"])
def test_what_is_true(written: str):
    assert landed(uses_3ds=written)["uses_3ds"] is True


@pytest.mark.parametrize("written", ["false", "False", "0"])
def test_what_is_false(written: str):
    assert landed(uses_3ds=written)["uses_3ds"] is False


@pytest.mark.parametrize("card", [VISA, card_number("34", 15), card_number("62", 19), card_number("6759", 12)])
def test_a_card_has_one_token_however_it_is_spelt(card: str):
    for spelling in spellings(card):
        row = landed(card_number=spelling)
        assert (row["card_token"], row["card_bin6"], row["card_last4"]) == (token(card), card[:6], card[-4:])


def test_a_card_that_fails_the_check_digit_is_kept_for_silver_to_judge():
    wrong = VISA[:-1] + "2"
    assert landed(card_number=wrong)["card_token"] == token(wrong)


def test_a_card_number_in_a_text_becomes_its_token():
    for spelling in spellings(VISA):
        assert landed(merchant_name=f"paid with {spelling}, thanks")["merchant_name"] == (
            f"paid with {token(VISA)}, thanks"
        )


def test_what_is_kept_of_a_rejected_entry_has_its_long_numbers_masked():
    log = csv_log(
        [payment(event_type="purchase", merchant_name="call 0049 30 1234567890 now", city="4111.1111.1111.1111")]
    )
    log += b"too short " + VISA.encode() + b"\n"
    ((_, adapted),) = adapted_blocks(log)
    raws = [rejection.raw for rejection in adapted.rejections]
    assert "<card number>" in raws[0] and "<16 digits>" in raws[0] and "call" in raws[0]
    assert raws[1] == "too short <16 digits>"
    assert not any(VISA in raw for raw in raws)


@pytest.mark.parametrize("missing", REQUIRED)
def test_without_a_required_column_of_ours_there_is_no_adapter(missing: str):
    header = ",".join(name for name in PAYMENT_LINE if name != missing).encode()
    with pytest.raises(SourceError, match=f"missing required column {missing} of the tollgate format"):
        recognise(header, "log.csv")


@pytest.mark.parametrize("missing", ["step", "customer", "gender", "merchant", "amount"])
def test_without_a_required_column_of_banksim_there_is_no_adapter(missing: str):
    header = ",".join(name for name in BANKSIM_LINE if name != missing).encode()
    with pytest.raises(SourceError, match=f"missing required column {missing} of the banksim format"):
        recognise(header, "log.csv")


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_header_may_have_a_byte_order_mark_and_any_line_end(mark: bytes, end: bytes):
    assert recognise(mark + ",".join(PAYMENT_LINE).encode() + end, "log.csv").name == "tollgate"
    assert recognise(mark + ",".join(f"'{name}'" for name in BANKSIM_LINE).encode() + end, "b.csv").name == "banksim"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_header_that_is_no_utf_8_is_one_clear_error(encoding: str):
    with pytest.raises(SourceError, match="not UTF-8"):
        recognise(",".join(PAYMENT_LINE).encode(encoding), "log.csv")


def test_a_latin_1_header_is_one_clear_error():
    with pytest.raises(SourceError, match="not UTF-8"):
        recognise("Händler,Betrag\n".encode("latin-1"), "log.csv")


def test_a_header_with_a_name_twice_is_one_clear_error():
    with pytest.raises(SourceError, match="same name"):
        recognise(",".join([*PAYMENT_LINE, "note", "note"]).encode(), "log.csv")


def test_an_adapter_must_speak_of_canonical_columns():
    with pytest.raises(ValueError, match="colour"):
        SourceAdapter("other", required=("a",), columns={"colour": text("a")})


def test_a_new_adapter_is_one_more_in_the_list():
    """What it does not map is null, and its own required columns decide."""
    other = SourceAdapter("other", required=("who", "what"), columns={"customer_id": text("who")}, delimiter=";")
    assert recognise(b"what;who;when\n", "log.csv", (*ADAPTERS, other)) is other

"""Small transaction logs: single payments with something changed, written as CSV in either dialect."""

import csv
import io
from collections.abc import Iterable, Mapping

from tests.support.card_data import VISA

PAYMENT_LINE = {
    "transaction_id": "T1",
    "event_type": "authorisation",
    "original_transaction_id": "",
    "settlement_batch_id": "",
    "event_timestamp": "2026-10-01T12:34:56.789Z",
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
    "amount": "12.34",
    "fee": "0.25",
    "currency": "EUR",
    "weight": "0.5",
    "card_number": VISA,
    "card_network": "visa",
    "issuer_country": "DE",
    "payment_solution": "card",
    "processor": "adyen",
    "entry_mode": "chip",
    "uses_3ds": "false",
    "three_ds_outcome": "",
    "device_id": "D1",
    "device_trust_score": "0.75",
    "ip_country": "DE",
    "lat": "52.5200",
    "lon": "-13.4050",
    "city": "Berlin",
    "fraud_score": "0.0123",
    "aml_score": "1",
    "is_approved": "true",
    "decline_reason": "",
    "is_retry": "0",
    "retry_of": "",
    "attempt": "1",
    "latency_ms": "120",
}
"""One line of our own log, by source column."""

REQUIRED = (
    "transaction_id",
    "event_type",
    "event_timestamp",
    "customer_id",
    "merchant_id",
    "amount",
    "currency",
    "weight",
    "card_number",
)
"""The columns without which no file is a log of ours."""

BANKSIM_LINE = {
    "step": "0",
    "customer": "C1093826151",
    "age": "4",
    "gender": "M",
    "zipcodeOri": "28007",
    "merchant": "M348934600",
    "zipMerchant": "28007",
    "category": "es_transportation",
    "amount": "4.55",
    "fraud": "0",
}
"""One line of BankSim, by source column."""


def payment(**changes: str) -> dict[str, str]:
    """A payment of our own log with some source columns changed."""
    return PAYMENT_LINE | changes


def banksim(**changes: str) -> dict[str, str]:
    """A payment of BankSim with some source columns changed."""
    return BANKSIM_LINE | changes


def numbered(rows: int, **changes: str) -> list[dict[str, str]]:
    """Different payments: T0, T1, ... by customers and merchants that repeat."""
    return [
        payment(transaction_id=f"T{n}", customer_id=f"C{n % 7}", merchant_id=f"M{n % 3}", amount=f"{n}.25", **changes)
        for n in range(rows)
    ]


def csv_log(rows: Iterable[Mapping[str, str]], columns: Iterable[str] | None = None, newline: str = "\n") -> bytes:
    """Our own log as bytes, its header included."""
    rows = list(rows)
    names = list(columns or (rows[0] if rows else PAYMENT_LINE))
    return b"".join(csv_line([row[name] for name in names], newline=newline) for row in [{n: n for n in names}, *rows])


def banksim_log(rows: Iterable[Mapping[str, str]]) -> bytes:
    """A BankSim file as bytes: a plain header, text in single quotes, numbers without."""
    lines = [",".join(BANKSIM_LINE)]
    for row in rows:
        quoted = {name: f"'{text}'" for name, text in row.items() if name not in ("step", "amount", "fraud")}
        lines.append(",".join((row | quoted)[name] for name in BANKSIM_LINE))
    return "".join(f"{line}\n" for line in lines).encode()


def csv_line(values: Iterable[str], quote: str = '"', quoting: int = csv.QUOTE_MINIMAL, newline: str = "\n") -> bytes:
    """One record as Python's own CSV writer writes it."""
    text = io.StringIO()
    csv.writer(text, quotechar=quote, quoting=quoting, lineterminator=newline).writerow(values)
    return text.getvalue().encode()

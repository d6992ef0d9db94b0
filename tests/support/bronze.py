"""A small bronze table made by hand: every kind of row that silver must tell apart."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from expectations import delta
from expectations.catalog import Lake
from expectations.tables import PAYMENTS_RAW_BRONZE

START = datetime(2026, 3, 1, tzinfo=UTC)
INGESTED_AT = START + timedelta(days=3)


def row(number: int, **values: object) -> dict[str, object]:
    """An approved card payment at entry `number`, but for `values`."""
    return (
        dict.fromkeys(PAYMENTS_RAW_BRONZE.columns)
        | {
            "transaction_id": f"T{number}",
            "event_type": "authorisation",
            "event_timestamp": START + timedelta(minutes=number),
            "customer_id": "C1",
            "merchant_id": "M1",
            "amount_minor": 1_000 + number,
            "fee_minor": 10,
            "currency": "EUR",
            "weight": 10_000,
            "is_approved": True,
            "attempt": 1,
            "latency_ms": 100 + number % 50,
            "_ingested_at": INGESTED_AT,
            "_source_file": "chunk.csv",
            "_row_number": number,
            "_chunk": 0,
        }
        | values
    )


def mixed_rows(count: int, seed: int) -> list[dict[str, object]]:
    """Duplicates with the same and with other content, zero and negative amounts, unknown currencies, events in the
    future, late and out-of-order ones, refunds, retries of known, unknown and later events, and nulls."""
    chance = random.Random(seed)
    rows: list[dict[str, object]] = []
    for number in range(count):
        made = row(
            number,
            event_timestamp=START + timedelta(minutes=number, hours=-chance.choice([0, 0, 0, 1, 30])),
            currency=chance.choice(["EUR", "EUR", "JPY", "BHD"]),
            merchant_country=chance.choice(["ES", "GB", None]),
            issuer_country=chance.choice(["ES", "GB", None]),
            card_network=chance.choice(["visa", "amex", None]),
            payment_solution=chance.choice(["card", "paypal", None]),
            merchant_segment=chance.choice(["grocery", "travel"]),
            fraud_score=chance.choice([None, 0.1, 0.36, 0.9]),
            aml_score=chance.choice([None, 0.2]),
            device_trust_score=chance.choice([None, 0.7]),
            uses_3ds=chance.choice([True, False, None]),
            is_approved=chance.choice([True, True, False, None]),
            latency_ms=chance.choice([None, 0, 90, 1_500]),
            amount_minor=chance.choice([499, 5_000, 20_000, 700_000]),
        )
        if made["is_approved"] is False:
            made["decline_reason"] = chance.choice(["expired_card", "insufficient_funds"])
        if made["uses_3ds"]:
            made["three_ds_outcome"] = chance.choice(["frictionless", "challenge_passed", None])
        match chance.randrange(12):
            case 0 if rows:  # said again, word for word
                made = chance.choice(rows) | {"_row_number": number}
            case 1 if rows:  # said again, otherwise
                made["transaction_id"] = chance.choice(rows)["transaction_id"]
            case 2:
                made["amount_minor"] = chance.choice([0, -5])
            case 3:
                made["currency"] = "XXX"
            case 4:
                made["event_timestamp"] = INGESTED_AT + timedelta(days=1)
            case 5 | 6:
                made |= {"is_retry": True, "attempt": 2, "retry_of": f"T{chance.randrange(count)}"}
            case 7:
                made |= {"event_type": chance.choice(["refund", "capture", "chargeback"]), "is_approved": None}
        rows.append(made)
    return rows


def land(lake: Lake, rows: list[dict[str, object]]) -> None:
    """Appends rows to bronze, as the chunker does."""
    table = delta.ensure_table(lake.table(PAYMENTS_RAW_BRONZE.name), PAYMENTS_RAW_BRONZE)
    delta.append_once(
        table, pa.Table.from_pylist(rows, PAYMENTS_RAW_BRONZE.arrow()), "chunker", int(rows[-1]["_row_number"]) + 1
    )


def new_lake(folder: Path, rows: list[dict[str, object]]) -> Lake:
    """A lake whose bronze holds these rows."""
    lake = Lake(folder)
    land(lake, rows)
    return lake

"""The raw log's columns, and how events become its CSV lines. Only here is known how the log is spelt."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.csv

from data.events import Events
from data.population import Population
from data.reference.processors import PROCESSORS
from data.reference.segments import SEGMENT_NAMES
from data.rhythm import DAY_MS
from data.text_columns import base36, chosen, decimals, instants, money
from data.vocabulary import (
    AGE_BANDS,
    Decline,
    EntryMode,
    EventType,
    Gender,
    Network,
    Scenario,
    Solution,
    ThreeDs,
    labels,
)

LOG_COLUMNS = (
    "transaction_id", "event_type", "original_transaction_id", "settlement_batch_id", "event_timestamp",
    "customer_id", "gender", "age_band",
    "merchant_id", "merchant_name", "merchant_segment", "mcc", "merchant_country",
    "amount", "fee", "currency", "weight",
    "card_number", "card_network", "issuer_country", "payment_solution", "processor",
    "entry_mode", "uses_3ds", "three_ds_outcome",
    "device_id", "device_trust_score", "ip_country", "lat", "lon", "city",
    "fraud_score", "aml_score", "is_approved", "decline_reason",
    "is_retry", "retry_of", "attempt", "latency_ms",
)  # fmt: skip
TRUTH_COLUMNS = ("transaction_id", "is_fraud", "scenario")
_SERIAL_WIDTH = 7  # 78 billion events per prefix
_SCORE_PLACES = 4


def header(columns: tuple[str, ...]) -> bytes:
    return (",".join(columns) + "\n").encode("ascii")


class LogFormat:
    """Writes events of one population as CSV; transaction ids are `id_prefix` and seven base-36 digits."""

    def __init__(self, population: Population, id_prefix: str) -> None:
        merchants, customers, geography = population.merchants, population.customers, population.geography
        self._population, self._id_prefix = population, id_prefix
        self._customers = {
            "customer_id": base36(np.arange(len(customers.country)), "C", 4),
            "gender": chosen(pa.array(labels(Gender)), customers.gender),
            "age_band": chosen(pa.array(AGE_BANDS), customers.age_band),
        }
        self._countries, self._cities = pa.array(geography.countries), pa.array(geography.cities)
        self._merchants = {
            "merchant_id": base36(np.arange(len(merchants.country)), "M", 3),
            "merchant_name": pa.array(merchants.names),
            "merchant_segment": chosen(pa.array(SEGMENT_NAMES), merchants.segment),
            "mcc": pa.array(merchants.mccs),
            "merchant_country": chosen(self._countries, merchants.country),
            "currency": chosen(pa.array(geography.currencies), merchants.country),
        }
        self._cards = {
            "card_number": pa.array(population.cards.numbers),
            "card_network": chosen(pa.array(labels(Network)), population.cards.network),
            "issuer_country": chosen(self._countries, population.cards.issuer_country),
        }

    def log_lines(self, events: Events) -> bytes:
        """The events' lines, without the header."""
        columns = self._columns(events)
        return _csv([columns[name] for name in LOG_COLUMNS])

    def truth_lines(self, events: Events) -> bytes:
        """One line per event: whether its payment was fraud, and of which scenario."""
        ids = base36(events.serial, self._id_prefix, _SERIAL_WIDTH)
        scenario = chosen(pa.array(labels(Scenario)), events.scenario)
        return _csv([ids, pa.array(events.scenario >= 0), scenario])

    def _columns(self, events: Events) -> dict[str, pa.Array]:
        return self._who(events) | self._what(events) | _how(events) | self._where(events) | _outcome(events)

    def _who(self, events: Events) -> dict[str, pa.Array]:
        customer, merchant, card = pa.array(events.customer), pa.array(events.merchant), pa.array(events.card)
        return (
            {name: words.take(customer) for name, words in self._customers.items()}
            | {name: words.take(merchant) for name, words in self._merchants.items()}
            | {name: words.take(card) for name, words in self._cards.items()}
        )

    def _what(self, events: Events) -> dict[str, pa.Array]:
        exponents = self._population.merchants.exponent[events.merchant]
        attachment = self._population.customers.attachment_percent[events.customer]
        weights = events.amount_minor * attachment * 100 // 10**exponents  # of major units, in 1/10,000
        return {
            "transaction_id": self._ids(events.serial),
            "event_type": chosen(pa.array(labels(EventType)), events.kind),
            "original_transaction_id": self._ids(events.original),
            "settlement_batch_id": _settlement_batches(events),
            "event_timestamp": instants(events.at_ms),
            "amount": money(events.amount_minor, exponents),
            "fee": money(events.fee_minor, exponents),
            "weight": decimals(weights, 4),
            "is_retry": pa.array(events.retry_of >= 0),
            "retry_of": self._ids(events.retry_of),
            "attempt": pa.array(events.attempt),
        }

    def _where(self, events: Events) -> dict[str, pa.Array]:
        located = events.city >= 0
        return {
            "device_id": base36(events.device, "D", 6),
            "device_trust_score": _scores(events.device_trust),
            "ip_country": chosen(self._countries, events.ip_country),
            "lat": decimals(events.lat, 4, located),
            "lon": decimals(events.lon, 4, located),
            "city": chosen(self._cities, events.city),
        }

    def _ids(self, serials: np.ndarray) -> pa.Array:
        return base36(serials, self._id_prefix, _SERIAL_WIDTH)


def _how(events: Events) -> dict[str, pa.Array]:
    return {
        "payment_solution": chosen(pa.array(labels(Solution)), events.solution),
        "processor": chosen(pa.array([each.name for each in PROCESSORS]), events.processor),
        "entry_mode": chosen(pa.array(labels(EntryMode)), events.entry_mode),
        "uses_3ds": pa.array(events.three_ds >= 0),
        "three_ds_outcome": chosen(pa.array(labels(ThreeDs)), events.three_ds),
    }


def _outcome(events: Events) -> dict[str, pa.Array]:
    return {
        "fraud_score": _scores(events.fraud_score),
        "aml_score": _scores(events.aml_score),
        "is_approved": pa.array(events.approved),
        "decline_reason": chosen(pa.array(labels(Decline)), events.decline),
        "latency_ms": pa.array(events.latency_ms),
    }


def _scores(ten_thousandths: np.ndarray) -> pa.Array:
    return decimals(ten_thousandths, _SCORE_PLACES, ten_thousandths >= 0)


def _settlement_batches(events: Events) -> pa.Array:
    """`SB-<processor>-<UTC day>` for what moves settled money; null for authorisations and reversals."""
    days, day = np.unique(events.at_ms // DAY_MS, return_inverse=True)
    dates = [str(np.datetime64(int(each), "D")).replace("-", "") for each in days]
    batches = pa.array([f"SB-{processor.name}-{date}" for date in dates for processor in PROCESSORS])
    settles = np.isin(events.kind, (EventType.CAPTURE, EventType.REFUND, EventType.CHARGEBACK))
    return chosen(batches, np.where(settles, day * len(PROCESSORS) + events.processor, -1))


def _csv(columns: list[pa.Array]) -> bytes:
    """Comma-separated lines without quotes. Raises ArrowInvalid if a value would need them."""
    lines = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=False, batch_size=8_192, quoting_style="none")
    pyarrow.csv.write_csv(pa.table(columns, names=[str(i) for i in range(len(columns))]), lines, options)
    return lines.getvalue()

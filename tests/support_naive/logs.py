"""Made-up payments that make all three patterns begin and cease to hold, and how they land in a lake."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.catalog import Lake
from expectations.landing import Chunk, encode_chunk, list_chunks, read_chunk, write_chunk
from expectations.offset import Offset
from expectations.payments import PAYMENT
from expectations.thresholds import PatternThresholds
from tests.support.chunking import overwrite_offset

NOW = datetime(2026, 3, 14, 20, 26, 53, 589_793, tzinfo=UTC)

SMALL = PatternThresholds(upgrade_merchant_transactions=60, child_transactions=5, dei_female_customers=3)
"""Thresholds that a log of a few thousand rows passes often."""

SOURCE = "made_up"

_COLUMNS = ("merchant_id", "customer_id", "gender", "amount_minor", "currency", "weight")
_ODD_NAMES = ('café "Zoë", Ltd', "two\nlines", "o'hara", " spaced ", "back\\slash", "#hash", "null", "-1", "\r\n", '"')


@dataclass(frozen=True)
class MadeUpLog:
    """Payments at their entry numbers; the entries between them went to quarantine.

    Attributes:
        rows: with the columns of `PAYMENT`.
        entry: int64, ascending, one per row.
        entries: how many entries the log has.
    """

    rows: pa.Table
    entry: np.ndarray
    entries: int

    def upto(self, entries: int) -> "MadeUpLog":
        """The log as it was when it had only so many entries."""
        keep = int(np.searchsorted(self.entry, entries))
        return MadeUpLog(self.rows.slice(0, keep), self.entry[:keep], entries)

    def placed(self, chunk_size: int) -> pa.Table:
        """The rows as `recomputation.recompute` takes them."""
        cells = pa.array(self.entry // chunk_size)
        return self.rows.select(_COLUMNS).append_column("place", pa.array(self.entry)).append_column("cell", cells)


def make_log(entries: int, seed: int, merchants: int = 14, customers: int = 60) -> MadeUpLog:
    """A log in which customers arrive in waves of one gender, and prices swing around 23."""
    rng = np.random.default_rng(seed)
    entry = np.flatnonzero(rng.random(entries) > 0.02)
    entry = entry[entry // 97 != 5]
    size, wave = len(entry), np.sin(entry / entries * 8 * np.pi)
    merchant = (merchants * rng.random(size) ** 1.5).astype(int)
    # Customers become known one after the other; those who pay most often pay least.
    customer = (rng.random(size) ** 2 * customers * (0.2 + 0.8 * entry / entries)).astype(int)
    gender = np.where(customer % 7 == 6, "E", np.where(_is_female(customer, customers), "F", "M")).astype(object)
    gender[rng.random(size) < 0.3] = None
    gender[rng.random(size) < 0.02] = "M"
    currency = np.array(["EUR", "EUR", "USD", "JPY", "KWD"])[merchant % 5]
    currency[rng.random(size) < 0.05] = "GBP"
    decimals = np.select([currency == "JPY", currency == "KWD"], [0, 3], 2)
    price = 23 + 3 * wave + (customer % 5 - 2) + rng.normal(0, 2, size)
    price[rng.random(size) < 0.1] = 23
    price = np.where(rng.random(size) < 0.05, -price, price)
    amount = np.rint(price * 10.0**decimals).astype(np.int64)
    fine = 10_000 * (customer / customers + rng.normal(0, 0.2, size))
    weight = np.where(merchant % 2, 10_000 * rng.integers(0, 4, size), np.rint(fine).astype(np.int64))
    rows = {
        "transaction_id": [f"t{number}" for number in entry.tolist()],
        "event_type": np.where(amount > 0, "authorisation", "refund").tolist(),
        "event_timestamp": [NOW] * size,
        "customer_id": [_name("c", number) for number in customer.tolist()],
        "gender": gender.tolist(),
        "merchant_id": [_name("m", number) for number in merchant.tolist()],
        "amount_minor": amount,
        "currency": currency.tolist(),
        "weight": weight,
    }
    return MadeUpLog(_canonical(rows, size), entry, entries)


def _is_female(customer: np.ndarray, customers: int) -> np.ndarray:
    """Two in five of the first customers; then mostly women and mostly men come by turns."""
    return np.choose(
        customer * 4 // customers, [customer % 5 < 2, customer % 9 != 0, customer % 9 == 0, customer % 9 != 0]
    )


def _name(kind: str, number: int) -> str:
    return _ODD_NAMES[number // 3] if number % 3 == 1 and number // 3 < len(_ODD_NAMES) else f"{kind}{number}"


def _canonical(rows: dict[str, object], size: int) -> pa.Table:
    schema = PAYMENT.arrow()
    arrays = [pa.array(rows[f.name], f.type) if f.name in rows else pa.nulls(size, f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def land(lake: Lake, log: MadeUpLog, chunk_size: int, cuts: Iterable[int] = (), is_final: bool = False) -> None:
    """Writes the chunk files that ticks at these entries leave, but for those that are there, and the offset."""
    grid = range(0, log.entries, chunk_size)
    landed = max((chunk.last + 1 for chunk in list_chunks(lake.landing)), default=0)
    firsts = sorted({*grid, landed, *cuts} & set(range(landed, log.entries)))
    for first, end in pairwise([*firsts, log.entries]):
        begin, until = np.searchsorted(log.entry, [first, end])
        rows = log.rows.slice(begin, until - begin)
        write_chunk(lake.landing, Chunk(first, end - 1, SOURCE), encode_chunk(rows))
    overwrite_offset(lake.offset_file, offset_at(log.entries, chunk_size, is_final))


def offset_at(entries: int, chunk_size: int, is_final: bool = False) -> Offset:
    """An offset as the chunker writes it, of a log that nobody verifies."""
    return Offset(SOURCE, "tollgate", chunk_size, "", "", entries, entries, is_final, NOW)


def landed_rows(lake: Lake, chunk_size: int) -> pa.Table:
    """What landed, whoever landed it, as `recomputation.recompute` takes it."""
    parts = []
    for chunk in list_chunks(lake.landing):
        rows = read_chunk(lake.landing / chunk.name).select(_COLUMNS)
        parts.append(rows.append_column("cell", pa.repeat(pa.scalar(chunk.cell(chunk_size), pa.int64()), len(rows))))
    rows = pa.concat_tables(parts)
    return rows.append_column("place", pa.array(np.arange(len(rows))))


def genders_in(log: MadeUpLog) -> set[str | None]:
    return set(pc.unique(log.rows["gender"]).to_pylist())

"""The events of a log as columns of integers: what every step of the simulation takes and gives."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Self

import numpy as np

Rng = np.random.Generator
Serials = Callable[[int], np.ndarray]  # gives so many new serial numbers


def _column(dtype: str, blank: int = 0) -> dict:
    return {"dtype": np.dtype(dtype), "blank": blank}


@dataclass(frozen=True, slots=True)
class Events:
    """Equally long one-dimensional columns, one entry per event.

    Money is integer minor units of the merchant's currency; times are milliseconds since 1970 UTC;
    coordinates, scores and trust are integers in 1/10,000. `customer`, `merchant`, `card`, `city`,
    `ip_country`, `processor` are positions in the population and reference lists, the closed lists are
    members of `vocabulary`. -1 stands for unknown or not applicable.
    """

    serial: np.ndarray = field(metadata=_column("i8", -1))  # becomes transaction_id
    kind: np.ndarray = field(metadata=_column("i1"))
    original: np.ndarray = field(metadata=_column("i8", -1))  # serial of the authorisation it follows up
    retry_of: np.ndarray = field(metadata=_column("i8", -1))  # serial of the declined attempt before it
    attempt: np.ndarray = field(metadata=_column("i1", 1))
    at_ms: np.ndarray = field(metadata=_column("i8"))
    customer: np.ndarray = field(metadata=_column("i4"))
    merchant: np.ndarray = field(metadata=_column("i4"))
    card: np.ndarray = field(metadata=_column("i4"))
    amount_minor: np.ndarray = field(metadata=_column("i8"))
    fee_minor: np.ndarray = field(metadata=_column("i8"))
    processor: np.ndarray = field(metadata=_column("i1"))
    entry_mode: np.ndarray = field(metadata=_column("i1"))
    solution: np.ndarray = field(metadata=_column("i1"))
    device: np.ndarray = field(metadata=_column("i8", -1))
    known_device: np.ndarray = field(metadata=_column("?"))
    device_trust: np.ndarray = field(metadata=_column("i4", -1))
    ip_country: np.ndarray = field(metadata=_column("i1", -1))
    city: np.ndarray = field(metadata=_column("i2", -1))
    lat: np.ndarray = field(metadata=_column("i4"))
    lon: np.ndarray = field(metadata=_column("i4"))
    three_ds: np.ndarray = field(metadata=_column("i1", -1))  # -1: 3-D Secure was not used
    fraud_score: np.ndarray = field(metadata=_column("i4", -1))
    aml_score: np.ndarray = field(metadata=_column("i4", -1))
    approved: np.ndarray = field(metadata=_column("?", 1))
    decline: np.ndarray = field(metadata=_column("i1", -1))
    latency_ms: np.ndarray = field(metadata=_column("i4"))
    scenario: np.ndarray = field(metadata=_column("i1", -1))  # ground truth: -1 is a legitimate payment

    def __len__(self) -> int:
        return len(self.serial)

    @classmethod
    def of(cls, **columns: np.ndarray) -> Self:
        """Events with these columns; the others are blank."""
        length = len(next(iter(columns.values())))
        return cls(*(_filled(column, columns.get(column.name), length) for column in fields(cls)))

    def with_columns(self, **columns: np.ndarray) -> Self:
        typed = {c.name: _filled(c, columns[c.name], len(self)) for c in fields(self) if c.name in columns}
        return replace(self, **typed)

    def take(self, chosen: np.ndarray | slice) -> Self:
        """The events at these positions, or where this mask is true, in that order."""
        if not isinstance(chosen, slice) and chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)  # once, not once per column
        return type(self)(*(getattr(self, column.name)[chosen] for column in fields(self)))


def concatenate(parts: list[Events]) -> Events:
    """All events of the parts, in their order. Needs at least one part."""
    if len(parts) == 1:
        return parts[0]
    return Events(*(np.concatenate([getattr(part, c.name) for part in parts]) for c in fields(Events)))


def no_events() -> Events:
    return Events.of(serial=np.empty(0, dtype=np.int64))


def _filled(column, values: np.ndarray | None, length: int) -> np.ndarray:
    dtype, blank = column.metadata["dtype"], column.metadata["blank"]
    return np.full(length, blank, dtype) if values is None else np.asarray(values).astype(dtype, copy=False)

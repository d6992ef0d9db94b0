"""Columns of integers as columns of text: identifiers, decimals, instants. No floats, no loops over rows."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BASE36 = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)


def base36(numbers: np.ndarray, prefix: str, width: int) -> pa.Array:
    """`prefix` and the number in exactly `width` base-36 digits; null where it is negative.

    Raises ValueError if a number does not fit.
    """
    if len(numbers) and int(numbers.max()) >= 36**width:
        raise ValueError(f"{int(numbers.max())} does not fit into {width} base-36 digits behind {prefix!r}")
    letters = np.empty((len(numbers), len(prefix) + width), dtype=np.uint8)
    letters[:, : len(prefix)] = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    rest = numbers.astype(np.int64)
    for column in range(letters.shape[1] - 1, len(prefix) - 1, -1):
        rest, digit = np.divmod(rest, 36)
        letters[:, column] = _BASE36[digit]
    ends = np.arange(len(numbers) + 1, dtype=np.int32) * letters.shape[1]
    buffers = [_validity(numbers >= 0), pa.py_buffer(ends), pa.py_buffer(letters)]
    return pa.Array.from_buffers(pa.string(), len(numbers), buffers)


def base36_text(number: int) -> str:
    """A number, not negative, in as many base-36 digits as it needs."""
    digits = chr(_BASE36[number % 36])
    return digits if number < 36 else base36_text(number // 36) + digits


def decimals(units: np.ndarray, exponent: int, known: np.ndarray | None = None) -> pa.Array:
    """`units` of 1/10^exponent as decimals with exactly `exponent` places; null where not `known`."""
    validity = None if known is None else _validity(known)
    return pa.Array.from_buffers(
        pa.decimal64(18, exponent),
        len(units),
        [validity, pa.py_buffer(np.ascontiguousarray(units, dtype=np.int64))],
    )


def money(minor: np.ndarray, exponents: np.ndarray) -> pa.Array:
    """Minor units as text in major units, each with its currency's number of places."""
    texts = pa.nulls(len(minor), pa.string())
    for exponent in np.unique(exponents).tolist():
        own = decimals(minor, exponent).cast(pa.string())
        texts = pc.if_else(pa.array(exponents == exponent), own, texts)
    return texts


def instants(at_ms: np.ndarray) -> pa.Array:
    """Milliseconds since 1970 as ISO 8601 in UTC, such as 2026-10-01T12:34:56.789Z."""
    spaced = pa.array(at_ms).cast(pa.timestamp("ms")).cast(pa.string())
    return pc.binary_join_element_wise(pc.binary_replace_slice(spaced, 10, 11, "T"), "Z", "")


def chosen(words: pa.Array, positions: np.ndarray) -> pa.Array:
    """The word at each position; null where it is negative."""
    return words.take(pa.array(positions, mask=positions < 0))


def _validity(known: np.ndarray) -> pa.Buffer | None:
    """Arrow's validity bitmap: bit 0 of byte 0 is the first value."""
    return None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))

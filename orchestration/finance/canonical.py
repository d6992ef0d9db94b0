"""The canonical form of a table: text that any engine can make, so that its hash depends on the content alone.

See `docs/finance_proof.md`, which others verify by.
"""

import base64
import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.errors import TollgateError
from expectations.schema import DataType, TableSchema

NULL = "\\N"
DIGEST_BYTES = 8
"""Of each row's SHA-256, so much is kept, to name the row that was tampered with."""

_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))
_TAB, _LF = pa.scalar("\t", pa.large_string()), pa.scalar("\n", pa.large_string())


class NotCanonical(TollgateError):
    """A table is not one of its schema, or has a key twice."""


def canonical_lines(table: pa.Table, schema: TableSchema) -> pa.LargeStringArray:
    """One line per row, each ended by LF, in the order of the schema's key.

    Fields are joined by TAB in the schema's order: integers in decimal, dates as YYYY-MM-DD, instants in microseconds
    since 1970, booleans as `true` and `false`, null as `\\N`; in texts, backslash, TAB, LF and CR are escaped.

    Raises:
        NotCanonical: a column is missing, of another type, or a key comes twice.
    """
    ordered = _in_order(_typed(table, schema), schema)
    fields = [_texts(ordered.column(field.name), field.type) for field in schema.fields]
    # The last join adds what ends the line.
    return pc.binary_join_element_wise(*fields[:-1], _with_end(fields[-1]), _TAB)


def header(schema: TableSchema) -> str:
    """The first line of the hashed text: each column's name and type."""
    return "\t".join(f"{field.name}:{field.type}" for field in schema.fields) + "\n"


def content_hash(table: pa.Table, schema: TableSchema) -> str:
    """SHA-256, in base32 without padding, of the header and the lines.

    Raises:
        NotCanonical: as `canonical_lines`.
    """
    digest = hashlib.sha256(header(schema).encode())
    digest.update(_bytes_of(canonical_lines(table, schema)))
    return base64.b32encode(digest.digest()).decode().rstrip("=")


def row_digests(table: pa.Table, schema: TableSchema) -> bytes:
    """The first bytes of each line's SHA-256, one after the other, in the order of the lines."""
    return b"".join(
        hashlib.sha256(line.encode()).digest()[:DIGEST_BYTES] for line in canonical_lines(table, schema).to_pylist()
    )


def in_canonical_order(table: pa.Table, schema: TableSchema) -> pa.Table:
    """The table with the schema's types, in the order of its lines."""
    return _in_order(_typed(table, schema), schema)


def _typed(table: pa.Table, schema: TableSchema) -> pa.Table:
    """The table in plain types: dictionaries unpacked, every column in one piece."""
    if tuple(table.column_names) != schema.columns:
        raise NotCanonical(f"{schema.name} has the columns {', '.join(table.column_names)}, not its schema's")
    arrays = []
    for field in schema.fields:
        column, kind = table.column(field.name), table.schema.field(field.name).type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        is_text = field.type is DataType.STRING and (pa.types.is_string(plain) or pa.types.is_large_string(plain))
        if plain != field.type.arrow and not is_text:
            raise NotCanonical(f"{schema.name}.{field.name} is {kind}, not {field.type}")
        wanted = pa.large_string() if field.type is DataType.STRING else field.type.arrow
        if column.type != wanted:
            column = column.cast(wanted)
        arrays.append(column.combine_chunks())
    return pa.Table.from_arrays(arrays, names=list(schema.columns))


def _in_order(table: pa.Table, schema: TableSchema) -> pa.Table:
    if table.num_rows < 2 or not schema.key:
        return table
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in schema.key])
    positions = order.to_numpy()
    if not np.array_equal(positions, np.arange(len(positions))):
        table = table.take(order)
    is_same = None
    for name in schema.key:
        column = table.column(name).combine_chunks()
        same = pc.equal(column.slice(1), column.slice(0, len(column) - 1))
        is_same = same if is_same is None else pc.and_(is_same, same)
    if pc.any(is_same).as_py():
        at = pc.index(is_same, True).as_py()
        named = ", ".join(f"{name} {table.column(name)[at]}" for name in schema.key)
        raise NotCanonical(f"{schema.name} has a key twice: {named}")
    return table


def _texts(column: pa.ChunkedArray, kind: DataType) -> pa.LargeStringArray:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if kind is DataType.STRING:
        texts = _escaped(array)
    elif kind is DataType.INSTANT:
        texts = array.cast(pa.int64()).cast(pa.large_string())
    else:
        texts = array.cast(pa.large_string())
    return pc.fill_null(texts, NULL) if texts.null_count else texts


def _escaped(array: pa.Array) -> pa.Array:
    content = bytes(_bytes_of(array))
    if not any(character.encode() in content for character, _ in _ESCAPES):
        return array
    for character, escape in _ESCAPES:
        array = pc.replace_substring(array, character, escape)
    return array


def _with_end(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(texts, pa.scalar("", pa.large_string()), _LF)


def _bytes_of(lines: pa.LargeStringArray) -> memoryview | bytes:
    """The texts one after the other, without copying them."""
    if not len(lines):
        return b""
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(lines.buffers()[2])[offsets[0] : offsets[-1]]

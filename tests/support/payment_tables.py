"""Hypothesis strategies for tables of canonical payment events, with every value that their columns may hold."""

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import strategies as st

from expectations.payments import PAYMENT
from expectations.schema import DataType, Field

_TEXTS = st.one_of(
    st.sampled_from(
        ["", '"', '""', ",", "\n", "\r\n", "\r", " ", "NULL", "null", "NaN", "1", "true", "a,b", "é😀", "\\", "'"]
    ),
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5),
)
_VALUES = {
    DataType.STRING: _TEXTS,
    DataType.INT16: st.integers(-(2**15), 2**15 - 1),
    DataType.INT32: st.integers(-(2**31), 2**31 - 1),
    DataType.INT64: st.integers(-(10**11), 10**11),
    DataType.FLOAT64: st.floats(allow_nan=False, allow_infinity=False),
    DataType.BOOLEAN: st.booleans(),
    DataType.INSTANT: st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
}


def _cell(field: Field) -> st.SearchStrategy:
    return st.none() | _VALUES[field.type] if field.nullable else _VALUES[field.type]


def payment_tables(max_rows: int) -> st.SearchStrategy[pa.Table]:
    """Tables with the schema of `PAYMENT`; texts may be empty, which is not null."""
    rows = st.fixed_dictionaries({field.name: _cell(field) for field in PAYMENT.fields})
    return st.lists(rows, max_size=max_rows).map(lambda found: pa.Table.from_pylist(found, PAYMENT.arrow()))

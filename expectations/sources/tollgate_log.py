"""Our own log: the canonical columns, but amounts in whole units and the card number in clear."""

import pyarrow as pa

from expectations.payments import PAYMENT_FIELDS
from expectations.schema import DataType
from expectations.sources import columns
from expectations.sources.adapter import SourceAdapter

_CARD = "card_number"
_CURRENCY = columns.currency("currency")

_BY_TYPE = {
    DataType.STRING: columns.text,
    DataType.FLOAT64: columns.number,
    DataType.BOOLEAN: columns.boolean,
    DataType.INSTANT: columns.instant,
    DataType.INT16: lambda name: columns.integer(name, pa.int16()),
    DataType.INT32: lambda name: columns.integer(name, pa.int32()),
    DataType.INT64: lambda name: columns.integer(name, pa.int64()),
}

TOLLGATE_LOG = SourceAdapter(
    name="tollgate",
    required=(
        "transaction_id",
        "event_type",
        "event_timestamp",
        "customer_id",
        "merchant_id",
        "amount",
        "currency",
        "weight",
        _CARD,
    ),
    columns={field.name: _BY_TYPE[field.type](field.name) for field in PAYMENT_FIELDS}
    | {
        "amount_minor": columns.money("amount", currency=_CURRENCY),
        "fee_minor": columns.money("fee", currency=_CURRENCY),
        "currency": _CURRENCY,
        "weight": columns.fixed_point("weight"),
        "card_token": columns.card_token(_CARD),
        "card_bin6": columns.card_bin6(_CARD),
        "card_last4": columns.card_last4(_CARD),
    },
    card_column=_CARD,
)

"""Silver's tables: clean, enriched payments, and what did not become one. dbt's contracts are made from these."""

from expectations.payments import PAYMENT_FIELDS
from expectations.schema import DataType, Field, TableSchema

RISK_TIERS = ("HIGH", "MEDIUM", "LOW", "UNKNOWN")
AMOUNT_BUCKETS = ("micro", "small", "medium", "large")

_STRING, _INT64 = DataType.STRING, DataType.INT64

_INGESTED_AT = Field("_ingested_at", DataType.INSTANT, "When its chunk was committed.", nullable=False)
_ROW_NUMBER = Field("_row_number", _INT64, "Entry number in the source log: the order of arrival.", nullable=False)

PAYMENTS_ENRICHED_SILVER = TableSchema(
    name="payments_enriched_silver",
    description="Accepted payments: valid, each transaction_id once (the first valid arrival), enriched.",
    grain="one accepted payment event",
    fields=(
        *PAYMENT_FIELDS,
        Field("risk_tier", _STRING, "By fraud_score; UNKNOWN without one.", nullable=False, allowed=RISK_TIERS),
        Field("amount_bucket", _STRING, "By amount in whole units.", nullable=False, allowed=AMOUNT_BUCKETS),
        Field(
            "is_cross_border",
            DataType.BOOLEAN,
            "Whether the issuer's country is not the merchant's; null where one is unknown.",
        ),
        Field(
            "composite_risk_score",
            DataType.FLOAT64,
            "0.5 fraud + 0.3 AML + 0.2 (1 - device trust); null where one is unknown.",
            unit="probability",
            minimum=0,
            maximum=1,
        ),
        Field("event_hour", DataType.INSTANT, "UTC hour of the event.", nullable=False),
        Field("event_date", DataType.DATE, "UTC day of the event.", nullable=False),
        Field("business_date", DataType.DATE, "Day in whose books the event is.", nullable=False),
        Field("retry_reason", _STRING, "Decline reason of the event that it retries, if that arrived before."),
        Field("retry_delay_s", _INT64, "Time since the event that it retries.", unit="s"),
        _INGESTED_AT,
        _ROW_NUMBER,
    ),
    key=("transaction_id",),
)

PAYMENTS_QUARANTINE = TableSchema(
    name="payments_quarantine",
    description="Landed rows that break a rule of silver, as they came, with every rule that they break.",
    grain="one landed row",
    fields=(
        *PAYMENT_FIELDS,
        Field("reasons", DataType.STRINGS, "Codes of the rules that it breaks.", nullable=False),
        _INGESTED_AT,
        _ROW_NUMBER,
    ),
    key=("_row_number",),
)

PAYMENTS_DUPLICATES = TableSchema(
    name="payments_duplicates",
    description="Landed rows whose payment had arrived before.",
    grain="one landed row",
    fields=(
        Field("transaction_id", _STRING, "The payment.", nullable=False),
        _ROW_NUMBER,
        Field("first_row_number", _INT64, "Where it arrived first.", nullable=False),
        Field("is_same_content", DataType.BOOLEAN, "Whether both rows say the same.", nullable=False),
        Field("amount_minor", _INT64, "Amount.", nullable=False, unit="minor units of currency"),
        Field("currency", _STRING, "ISO 4217 code.", nullable=False),
        _INGESTED_AT,
    ),
    key=("_row_number",),
)

SILVER_TABLES = (PAYMENTS_ENRICHED_SILVER, PAYMENTS_QUARANTINE, PAYMENTS_DUPLICATES)

"""Every table of the lake: its columns, grain and key. Add a table here first."""

from expectations.payments import PAYMENT_FIELDS
from expectations.schema import DataType, Field, PiiClass, TableSchema

_STRING, _INT64 = DataType.STRING, DataType.INT64

_CELL = Field("cell", _INT64, "Cell of the pattern grid: entry number divided by the chunk size.", nullable=False)
_PATTERN_ID = Field("pattern_id", _STRING, "PatId1, PatId2 or PatId3.", nullable=False)
_MERCHANT_ID = Field("merchant_id", _STRING, "The merchant.", nullable=False)

PAYMENTS_RAW_BRONZE = TableSchema(
    name="payments_raw_bronze",
    description="Every landed event as it came, with where it came from.",
    grain="one landed entry of the source log",
    fields=(
        *PAYMENT_FIELDS,
        Field("_ingested_at", DataType.INSTANT, "When the chunk was committed.", nullable=False),
        Field("_source_file", _STRING, "The chunk file that holds the row.", nullable=False),
        Field("_row_number", _INT64, "Entry number in the source log, from 0.", nullable=False),
        Field("_chunk", _INT64, "Cell of the pattern grid, from 0.", nullable=False),
    ),
    key=("_row_number",),
    skipped_by=("_row_number", "_chunk", "event_timestamp"),
)

SOURCE_QUARANTINE = TableSchema(
    name="source_quarantine",
    description="Entries that cannot become a payment event, with the rule that rejected each.",
    grain="one rejected entry of the source log",
    fields=(
        Field("source", _STRING, "Name of the source log.", nullable=False),
        Field("entry_number", _INT64, "Position in the log, in entries from 0.", nullable=False),
        Field("byte_offset", _INT64, "Position in the log, in bytes (unpacked).", nullable=False),
        Field("byte_length", _INT64, "Length of the entry.", nullable=False),
        Field("reason_code", _STRING, "The kind of fault.", nullable=False),
        Field("column", _STRING, "The source column at fault, if one is."),
        Field("rule", _STRING, "The rule that rejected it.", nullable=False),
        Field("raw", _STRING, "The entry's text with every long digit run masked.", pii=PiiClass.PERSONAL),
        Field("amount_minor", _INT64, "Its amount, where that could be read.", unit="minor units of currency"),
        Field("currency", _STRING, "Its currency, where that could be read."),
        Field("quarantined_at", DataType.INSTANT, "When it was rejected.", nullable=False),
    ),
    key=("entry_number",),
)

PATTERN_STATE = TableSchema(
    name="pattern_state",
    description=(
        "What the detector remembers, as a log: for each pair that a cell touched, its totals so far. "
        "The row with the highest cell is the current one. The pair with the empty customer is the merchant."
    ),
    grain="one (merchant, customer) pair in one cell",
    fields=(
        Field("bucket", DataType.INT32, "Merchants are spread over buckets by hash.", nullable=False),
        _MERCHANT_ID,
        Field("customer_id", _STRING, "The customer.", nullable=False, pii=PiiClass.PSEUDONYM),
        _CELL,
        Field("transactions", _INT64, "The pair's rows so far.", nullable=False),
        Field("amount_sum", _INT64, "Sum of amounts.", nullable=False, unit="1/10,000 of the currency"),
        Field("weight_sum", _INT64, "Sum of weights.", nullable=False, unit="1/10,000"),
        Field("gender", _STRING, "First one seen, null until one is.", pii=PiiClass.PERSONAL),
        Field("raised", DataType.INT16, "Patterns raised so far: bit n-1 stands for PatId<n>.", nullable=False),
        Field("holding", DataType.INT16, "Patterns that hold since the last evaluation, likewise.", nullable=False),
    ),
    key=("merchant_id", "customer_id", "cell"),
    skipped_by=("cell",),
    partition_by=("bucket",),
)

PATTERN_STATUS = TableSchema(
    name="pattern_status",
    description="What holds now: the last evaluation that changed something, per pattern, customer and merchant.",
    grain="one (pattern, customer, merchant) for which the pattern ever held",
    fields=(
        _PATTERN_ID,
        Field("customer_id", _STRING, "The customer, empty for PatId3.", nullable=False, pii=PiiClass.PSEUDONYM),
        _MERCHANT_ID,
        Field("holds", DataType.BOOLEAN, "Whether the pattern holds since that cell.", nullable=False),
        _CELL,
    ),
    key=("pattern_id", "customer_id", "merchant_id"),
)

DETECTIONS = TableSchema(
    name="detections",
    description="The outbox: every detection in the order in which it was raised.",
    grain="one (pattern, customer, merchant), the first time it held",
    fields=(
        Field("sequence", _INT64, "Position in the outbox, from 0.", nullable=False),
        _CELL,
        _PATTERN_ID,
        Field("action_type", _STRING, "UPGRADE, CHILD or DEI-NEEDED.", nullable=False),
        Field("customer_id", _STRING, "The customer, empty for PatId3.", nullable=False, pii=PiiClass.PSEUDONYM),
        _MERCHANT_ID,
        Field("y_started_at", DataType.INSTANT, "When the evaluation of the cell began.", nullable=False),
        Field("detected_at", DataType.INSTANT, "When the detection was stored.", nullable=False),
    ),
    key=("pattern_id", "customer_id", "merchant_id"),
)

DETECTION_FILES = TableSchema(
    name="detection_files",
    description="The ledger of detection files: which stretch of the outbox each one holds.",
    grain="one file",
    fields=(
        Field("file_sequence", _INT64, "Number of the file, from 1.", nullable=False),
        Field("name", _STRING, "File name.", nullable=False),
        Field("first_sequence", _INT64, "First detection in it.", nullable=False),
        Field("last_sequence", _INT64, "Last detection in it.", nullable=False),
        Field("is_partial", DataType.BOOLEAN, "Written by an explicit drain, with fewer than 50.", nullable=False),
    ),
    key=("file_sequence",),
)

TABLES = {
    table.name: table
    for table in (
        PAYMENTS_RAW_BRONZE,
        SOURCE_QUARANTINE,
        PATTERN_STATE,
        PATTERN_STATUS,
        DETECTIONS,
        DETECTION_FILES,
    )
}

"""The canonical payment event: the one shape into which every source is brought, and its ground truth."""

from expectations.schema import DataType, Field, PiiClass, TableSchema

MAX_AMOUNT_MINOR = 10**11
"""A billion in a currency of two decimals. It also keeps every stored number shorter than a card number."""

EVENT_TYPES = ("authorisation", "capture", "refund", "reversal", "chargeback")

_STRING, _INT64, _FLOAT64 = DataType.STRING, DataType.INT64, DataType.FLOAT64
_PERSON = PiiClass.PERSONAL
_PSEUDONYM = PiiClass.PSEUDONYM
_CARDHOLDER = PiiClass.CARDHOLDER


def _score(name: str, description: str) -> Field:
    return Field(name, _FLOAT64, description, unit="probability", minimum=0, maximum=1)


PAYMENT_FIELDS = (
    Field("transaction_id", _STRING, "Identifier of the event at its source.", nullable=False),
    Field("event_type", _STRING, "What happened to the payment.", nullable=False, allowed=EVENT_TYPES),
    Field("original_transaction_id", _STRING, "The event that this one captures, refunds, reverses or disputes."),
    Field("settlement_batch_id", _STRING, "The processor's batch in which the event settles."),
    Field("event_timestamp", DataType.INSTANT, "When it happened.", nullable=False, unit="UTC"),
    Field("customer_id", _STRING, "Who pays.", nullable=False, pii=_PSEUDONYM),
    Field("gender", _STRING, "F, M, or E for an enterprise; null if unknown.", pii=_PERSON),
    Field("age_band", _STRING, "Age band as the source cuts it.", pii=_PERSON),
    Field("merchant_id", _STRING, "Who is paid.", nullable=False),
    Field("merchant_name", _STRING, "The merchant's trading name."),
    Field("merchant_segment", _STRING, "Line of business."),
    Field("mcc", _STRING, "Merchant category code, ISO 18245."),
    Field("merchant_country", _STRING, "ISO 3166-1 alpha-2."),
    Field("merchant_region", _STRING, "State or province of the merchant, as its source writes it."),
    Field("merchant_postal_code", _STRING, "Postal code of the merchant."),
    Field(
        "amount_minor",
        _INT64,
        "Amount.",
        nullable=False,
        unit="minor units of currency",
        minimum=-MAX_AMOUNT_MINOR,
        maximum=MAX_AMOUNT_MINOR,
    ),
    Field(
        "fee_minor",
        _INT64,
        "What the processor charges the merchant.",
        unit="minor units of currency",
        minimum=-MAX_AMOUNT_MINOR,
        maximum=MAX_AMOUNT_MINOR,
    ),
    Field("currency", _STRING, "ISO 4217 code.", nullable=False),
    Field(
        "weight",
        _INT64,
        "Strength of the payment as an edge of the customer-merchant graph.",
        nullable=False,
        unit="1/10,000",
        minimum=-MAX_AMOUNT_MINOR,
        maximum=MAX_AMOUNT_MINOR,
    ),
    Field("card_token", _STRING, "Keyed HMAC of the card number, base32.", pii=_CARDHOLDER),
    Field("card_bin6", _STRING, "First six digits of the card number.", pii=_CARDHOLDER),
    Field("card_last4", _STRING, "Last four digits of the card number.", pii=_CARDHOLDER),
    Field("card_network", _STRING, "visa, mastercard, amex, ..."),
    Field("issuer_country", _STRING, "Country of the issuing bank, ISO 3166-1 alpha-2."),
    Field("payment_solution", _STRING, "card, apple_pay, google_pay, ..."),
    Field("processor", _STRING, "Who processes the payment for the merchant."),
    Field("entry_mode", _STRING, "chip, contactless, ecommerce, magstripe or manual."),
    Field("uses_3ds", DataType.BOOLEAN, "Whether 3-D Secure was asked for."),
    Field("three_ds_outcome", _STRING, "frictionless, challenge_passed, challenge_failed or abandoned."),
    Field("device_id", _STRING, "The paying device.", pii=_PSEUDONYM),
    _score("device_trust_score", "How well the device is known."),
    Field("ip_country", _STRING, "Country of the paying device's address, ISO 3166-1 alpha-2."),
    Field("lat", _FLOAT64, "Latitude of the payment.", unit="degrees", pii=_PERSON, minimum=-90, maximum=90),
    Field("lon", _FLOAT64, "Longitude of the payment.", unit="degrees", pii=_PERSON, minimum=-180, maximum=180),
    Field("city", _STRING, "City of the payment."),
    _score("fraud_score", "Issuer's estimate that the payment is fraudulent."),
    _score("aml_score", "Estimate that the payment is money laundering."),
    Field("is_approved", DataType.BOOLEAN, "Whether the authorisation was approved."),
    Field("decline_reason", _STRING, "Why it was not."),
    Field("is_retry", DataType.BOOLEAN, "Whether the event retries a declined one."),
    Field("retry_of", _STRING, "The declined event that this one retries."),
    Field("attempt", DataType.INT16, "1 for the first try.", minimum=1, maximum=1000),
    Field("latency_ms", DataType.INT32, "Request to answer.", unit="ms", minimum=0),
)

PAYMENT = TableSchema(
    name="payment",
    description="The canonical payment event, as every chunk file holds it.",
    grain="one event of a source log, in the log's order",
    fields=PAYMENT_FIELDS,
)

PAYMENT_TRUTH = TableSchema(
    name="payment_truth",
    description="Ground truth of the simulated company. It never travels with the events.",
    grain="one labelled event",
    fields=(
        Field("transaction_id", _STRING, "The labelled event.", nullable=False),
        Field("is_fraud", DataType.BOOLEAN, "Whether it is fraud.", nullable=False),
        Field("scenario", _STRING, "The fraud scenario that it belongs to."),
    ),
    key=("transaction_id",),
)

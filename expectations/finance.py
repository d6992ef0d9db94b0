"""Finance's tables: the frozen inputs of a business day, what reconciliation makes of them, and what is published."""

from expectations.core_banking import ENTRY_KINDS
from expectations.payments import MAX_AMOUNT_MINOR
from expectations.schema import DataType, Field, PiiClass, TableSchema

PAYMENT_KINDS = ("sale", "refund", "chargeback", "reversal")
SIDES = ("bank", "platform")

DUAL_MESSAGE_PROCESSORS = ("acquira", "clearbridge")
"""They settle by capture events. With all others, and where none is named, an approved authorisation settles itself."""

NO_PROCESSOR = "-"
"""Stands for the processor of a source that names none."""

MATCHING_PASSES = ("exact_id", "composite_key", "settlement_batch")

BREAK_TYPES = (
    "missing_at_bank",
    "missing_at_platform",
    "amount_mismatch",
    "fee_mismatch",
    "duplicate_posting",
    "reversed_at_bank",
    "batch_mismatch",
    "fx_rounding",
    "payout_mismatch",
)

RESOLUTIONS = ("late_posting", "late_payment", "corrected", "written_off")
"""How a break closed: the bank posted it later; the platform had it later; an adjustment; a controller."""

_STRING, _INT64, _DATE = DataType.STRING, DataType.INT64, DataType.DATE
_MINOR = "minor units of currency"


def _text(name: str, description: str, nullable: bool = False, allowed: tuple[str, ...] = ()) -> Field:
    return Field(name, _STRING, description, nullable=nullable, allowed=allowed)


def _money(name: str, description: str) -> Field:
    """A sum or an amount; it may be negative."""
    return Field(name, _INT64, description, nullable=False, unit=_MINOR)


def _count(name: str, description: str) -> Field:
    return Field(name, _INT64, description, nullable=False, minimum=0)


def _date(name: str, description: str, nullable: bool = False) -> Field:
    return Field(name, _DATE, description, nullable=nullable)


_BUSINESS_DATE = _date("business_date", "The business day.")
_BOOKING_DATE = _date("booking_date", "Day in whose books the bank has it.")
_MERCHANT = _text("merchant_id", "Who is paid; empty for a payout.")
_PROCESSOR = _text("processor", "Who processes the payment.")
_CURRENCY = _text("currency", "ISO 4217 code.")
_AMOUNT = Field(
    "amount_minor",
    _INT64,
    "Positive: to the merchant; negative: back to the customer.",
    nullable=False,
    unit=_MINOR,
    minimum=-MAX_AMOUNT_MINOR,
    maximum=MAX_AMOUNT_MINOR,
)
_FEE = Field(
    "fee_minor",
    _INT64,
    "What the processor keeps.",
    nullable=False,
    unit=_MINOR,
    minimum=-MAX_AMOUNT_MINOR,
    maximum=MAX_AMOUNT_MINOR,
)
_LAST4 = Field("card_last4", _STRING, "Last four digits of the card number.", pii=PiiClass.CARDHOLDER)

PLATFORM_PAYMENTS = TableSchema(
    name="platform_payments",
    description="Events of published silver that move settled money, of one business day.",
    grain="one payment event",
    fields=(
        _text("transaction_id", "The payment event."),
        _BUSINESS_DATE,
        _text("kind", "What it does.", allowed=PAYMENT_KINDS),
        _MERCHANT,
        _text("merchant_segment", "Line of business.", nullable=True),
        _text("merchant_country", "ISO 3166-1 alpha-2.", nullable=True),
        _PROCESSOR,
        _text("settlement_batch_id", "The processor's batch; made from processor and day where the source has none."),
        _LAST4,
        _CURRENCY,
        _AMOUNT,
        _FEE,
    ),
    key=("transaction_id",),
)

LEDGER_ENTRIES = TableSchema(
    name="ledger_entries",
    description="The bank's journal entries of one day.",
    grain="one journal entry",
    fields=(
        Field("entry_id", _INT64, "The entry.", nullable=False),
        _BOOKING_DATE,
        _date("value_date", "Day from which it counts."),
        _text("kind", "What it books.", allowed=ENTRY_KINDS),
        _text("reference", "The payment event; for an adjustment, what it corrects.", nullable=True),
        _text("batch_id", "Settlement batch.", nullable=True),
        _MERCHANT,
        _PROCESSOR,
        _LAST4,
        _CURRENCY,
        _AMOUNT,
        _FEE,
    ),
    key=("entry_id",),
)

LEDGER_POSTINGS = TableSchema(
    name="ledger_postings",
    description="The double entry of the bank's journal of one day.",
    grain="one leg of a journal entry",
    fields=(
        Field("entry_id", _INT64, "The entry.", nullable=False),
        Field("leg", _INT64, "Number of the leg in its entry.", nullable=False, minimum=0),
        _BOOKING_DATE,
        _text("account_id", "The account."),
        _CURRENCY,
        _money("debit_minor", "Debit."),
        _money("credit_minor", "Credit."),
    ),
    key=("entry_id", "leg"),
)

LEDGER_BATCHES = TableSchema(
    name="ledger_batches",
    description="The processors' settlement batches that the bank paid out on one day.",
    grain="one currency of a batch",
    fields=(
        _text("batch_id", "The batch."),
        _CURRENCY,
        _PROCESSOR,
        _BOOKING_DATE,
        _date("value_date", "Day from which it counts."),
        _count("entries", "Journal entries in it."),
        _money("amount_minor", "Their amounts."),
        _money("fee_minor", "Their fees."),
        _money("net_minor", "Amount minus fee."),
        _text("payout_currency", "Currency in which it is paid out."),
        Field("fx_rate_e8", _INT64, "Payout per batch currency, minor units, times 10^8.", nullable=False, minimum=1),
        Field("payout_minor", _INT64, "What was paid out.", nullable=False, unit="minor units of payout_currency"),
    ),
    key=("batch_id", "currency"),
)

LEDGER_BALANCES = TableSchema(
    name="ledger_balances",
    description="The bank's own closing balance of each account on one day.",
    grain="one account",
    fields=(
        _BOOKING_DATE,
        _text("account_id", "The account."),
        _CURRENCY,
        _money("closing_minor", "Debits minus credits."),
    ),
    key=("account_id",),
)

LEDGER_CLOSING = TableSchema(
    name="ledger_closing",
    description="The bank's word that a day is complete.",
    grain="one day",
    fields=(
        _BOOKING_DATE,
        _count("entries", "Journal entries of the day."),
        _count("postings", "Postings of the day."),
    ),
    key=("booking_date",),
)

BANK_TABLES = (LEDGER_ENTRIES, LEDGER_POSTINGS, LEDGER_BATCHES, LEDGER_BALANCES, LEDGER_CLOSING)
"""What is frozen of the bank's day."""

OPEN_ITEMS = TableSchema(
    name="open_items",
    description="What a day leaves to the next one: both sides' rows of every break that is still open.",
    grain="one row of one side",
    fields=(
        _text("break_id", "The break that it is part of."),
        _text("break_type", "Its type.", allowed=BREAK_TYPES),
        _date("opened_on", "Business day on which the break opened."),
        _text("group_key", "Under what its rows were brought together."),
        _text("side", "Whose row.", allowed=SIDES),
        _text("item_id", "The payment event or the journal entry."),
        _date("item_date", "Its business or booking day."),
        _date("value_date", "Day from which it counts."),
        _text("kind", "What it does."),
        _text("reference", "What the bank's row refers to.", nullable=True),
        _text("settlement_batch_id", "Settlement batch.", nullable=True),
        _MERCHANT,
        _text("merchant_segment", "Line of business.", nullable=True),
        _text("merchant_country", "ISO 3166-1 alpha-2.", nullable=True),
        _PROCESSOR,
        _LAST4,
        _CURRENCY,
        _AMOUNT,
        _FEE,
    ),
    key=("side", "item_id", "currency"),
)

RECONCILED_ROWS = TableSchema(
    name="reconciled_rows",
    description="Where every payment and journal entry ended: matched, with the pass and its pair, or in a break.",
    grain="one row of one side",
    fields=(
        _text("side", "Whose row.", allowed=SIDES),
        _text("item_id", "The payment event or the journal entry."),
        _date("item_date", "Its business or booking day; an earlier one than the day's was carried over."),
        _text("kind", "What it does."),
        _text("merchant_id", "Of the payment that it is brought together with, or its own; empty for a payout."),
        _text("processor", "Likewise."),
        _CURRENCY,
        _AMOUNT,
        _FEE,
        _text("pass", "The pass that brought it together with others; null if none did.", True, MATCHING_PASSES),
        _text("group_key", "Under what it was brought together: rows with the same one are each other's pair."),
        _text("break_id", "The break that it ended in, open or written off; null if it matched.", nullable=True),
    ),
    key=("side", "item_id", "currency"),
)

AUDITED_DAILY_SETTLEMENT = TableSchema(
    name="audited_daily_settlement",
    description="What each merchant is owed for a business day, and what the bank has booked of it.",
    grain="one merchant, processor and currency on one business day",
    fields=(
        _BUSINESS_DATE,
        _MERCHANT,
        _PROCESSOR,
        _CURRENCY,
        _count("payments", "Payment events."),
        _money("gross_minor", "Sales."),
        _money("refunds_minor", "Refunds."),
        _money("chargebacks_minor", "Chargebacks."),
        _money("reversals_minor", "Reversals of sales that had settled."),
        _money("fees_minor", "Fees."),
        _money("net_minor", "Gross minus refunds, chargebacks, reversals and fees."),
        _money("carried_in_minor", "Net of the breaks that were open before: platform minus bank."),
        _money("bank_net_minor", "Net of what the bank has booked."),
        _money("open_breaks_minor", "Net of the breaks that are open now: platform minus bank."),
        _money("written_off_minor", "Net of the breaks that a controller has resolved."),
    ),
    key=("business_date", "merchant_id", "processor", "currency"),
)

AUDITED_DAILY_REVENUE = TableSchema(
    name="audited_daily_revenue",
    description="Sales and what comes off them, by line of business and country, and how much of it the bank confirms.",
    grain="one line of business, country and currency on one business day",
    fields=(
        _BUSINESS_DATE,
        _text("merchant_segment", "Line of business; empty if unknown."),
        _text("merchant_country", "ISO 3166-1 alpha-2; empty if unknown."),
        _CURRENCY,
        _count("payments", "Payment events."),
        _money("gross_minor", "Sales."),
        _money("deductions_minor", "Refunds, chargebacks and reversals."),
        _money("fees_minor", "Fees."),
        _money("net_minor", "Gross minus deductions and fees."),
        _money("confirmed_minor", "Net of the payments that match the bank."),
        _money("pending_minor", "Net of the payments that are in a break."),
    ),
    key=("business_date", "merchant_segment", "merchant_country", "currency"),
)

AUDITED_DAILY_BREAKS = TableSchema(
    name="audited_daily_breaks",
    description="Breaks that are open at the end of a business day, and those that closed on it.",
    grain="one break on one business day",
    fields=(
        _BUSINESS_DATE,
        _text("break_id", "The break; the same one from day to day."),
        _text("break_type", "What is wrong.", allowed=BREAK_TYPES),
        _text("status", "Whether it is open.", allowed=("closed", "open")),
        _text("group_key", "The payment, entry or batch that it is about."),
        _MERCHANT,
        _PROCESSOR,
        _CURRENCY,
        _count("payments", "The platform's rows in it."),
        _count("entries", "The bank's rows in it."),
        _money("amount_minor", "Platform minus bank; of a closed one, what it had been."),
        _money("fee_minor", "The same of the fees."),
        _money("net_minor", "Amount minus fee."),
        _date("opened_on", "Business day on which it opened."),
        _count("age_days", "Days since then."),
        _text("resolution", "How it closed.", True, RESOLUTIONS),
    ),
    key=("business_date", "break_id"),
)

AUDITED_TRIAL_BALANCE = TableSchema(
    name="audited_trial_balance",
    description="Every account of the bank's ledger: opening, movements, closing.",
    grain="one account on one business day",
    fields=(
        _BUSINESS_DATE,
        _text("account_id", "The account."),
        _CURRENCY,
        _money("opening_minor", "Debits minus credits before the day."),
        _money("debits_minor", "Debits of the day."),
        _money("credits_minor", "Credits of the day."),
        _money("closing_minor", "Opening plus debits minus credits."),
    ),
    key=("business_date", "account_id"),
)

AUDITED_DAY_STATUS = TableSchema(
    name="audited_day_status",
    description="Which days are audited, by which version, and which an earlier day's restatement has made stale.",
    grain="one business day",
    fields=(
        _BUSINESS_DATE,
        _text("status", "stale: an earlier day was restated since.", allowed=("audited", "restated", "stale")),
        Field("version", _INT64, "Publication of the day, from 1.", nullable=False, minimum=1),
        Field("published_at", DataType.INSTANT, "When.", nullable=False, unit="UTC"),
        _text("reason", "Why it was restated.", nullable=True),
        _count("payments", "Payment events."),
        _count("open_breaks", "Breaks that are open at its end."),
        _count("approvals", "Signatures under which a day beyond tolerance was published."),
        Field("sequence", _INT64, "Its place in the chain of manifests.", nullable=False, minimum=1),
        _text("manifest_hash", "Hash of its manifest, SHA-256 in base32."),
    ),
    key=("business_date",),
)

DAY_TABLES = (AUDITED_DAILY_SETTLEMENT, AUDITED_DAILY_REVENUE, AUDITED_DAILY_BREAKS, AUDITED_TRIAL_BALANCE)
"""Published of each day, beside its line in `audited_day_status`."""

FINANCE_TABLES = (*DAY_TABLES, AUDITED_DAY_STATUS)

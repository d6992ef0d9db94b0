"""The core banking system's database as Tollgate reads it. It is somebody else's: never written to, except by the
simulated bank.

A journal entry is a fact about one payment, or about a batch of them, with its amount and fee as the bank has them; its
postings say the same in double entry. Amounts are integers in minor units of their currency.
"""

from sqlalchemy import BigInteger, Column, Date, DateTime, Integer, MetaData, String, Table

METADATA = MetaData()

ENTRY_KINDS = ("sale", "refund", "chargeback", "reversal", "settlement", "adjustment", "payout")
"""`settlement` books many payments of one merchant and batch at once; `adjustment` corrects an earlier entry;
`payout` moves a batch's net amount to our account, and is about no payment."""

RECONCILED_KINDS = tuple(kind for kind in ENTRY_KINDS if kind != "payout")

FX_RATE_SCALE = 10**8
"""Exchange rates are integers: payout currency per batch currency, in minor units each, times this."""

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("account_id", String(64), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("kind", String(16), nullable=False, comment="asset, liability, income or expense"),
    Column("currency", String(3), nullable=False),
)

JOURNAL_ENTRIES = Table(
    "journal_entries",
    METADATA,
    Column("entry_id", BigInteger, primary_key=True, autoincrement=False),
    Column("booking_date", Date, nullable=False, index=True, comment="day in whose books it is"),
    Column("value_date", Date, nullable=False, index=True, comment="day from which it counts"),
    Column("booked_at", DateTime, nullable=False, comment="UTC"),
    Column("kind", String(16), nullable=False),
    Column("reference", String(64), comment="the payment event; for an adjustment, what it corrects"),
    Column("batch_id", String(64), comment="settlement batch"),
    Column("merchant_id", String(64), nullable=False),
    Column("processor", String(64), nullable=False),
    Column("card_last4", String(4)),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False, comment="positive: to the merchant; negative: back"),
    Column("fee_minor", BigInteger, nullable=False, comment="what the processor keeps"),
)

POSTINGS = Table(
    "postings",
    METADATA,
    Column("entry_id", BigInteger, primary_key=True, autoincrement=False),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("booking_date", Date, nullable=False, index=True),
    Column("account_id", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("debit_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False),
)

SETTLEMENT_BATCHES = Table(
    "settlement_batches",
    METADATA,
    Column("batch_id", String(64), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("processor", String(64), nullable=False),
    Column("booking_date", Date, nullable=False, index=True),
    Column("value_date", Date, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("net_minor", BigInteger, nullable=False, comment="amount minus fee"),
    Column("payout_currency", String(3), nullable=False),
    Column("fx_rate_e8", BigInteger, nullable=False, comment="see FX_RATE_SCALE; that itself without exchange"),
    Column("payout_minor", BigInteger, nullable=False, comment="net times rate, half to even"),
)

ACCOUNT_BALANCES = Table(
    "account_balances",
    METADATA,
    Column("booking_date", Date, primary_key=True),
    Column("account_id", String(64), primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("closing_minor", BigInteger, nullable=False, comment="debits minus credits since ever"),
)

CLOSED_DAYS = Table(
    "closed_days",
    METADATA,
    Column("booking_date", Date, primary_key=True),
    Column("closed_at", DateTime, nullable=False, comment="UTC; after it nothing is booked on that day"),
    Column("entries", BigInteger, nullable=False),
    Column("postings", BigInteger, nullable=False),
)


def merchants_account(currency: str) -> str:
    """What is owed to merchants."""
    return f"merchants:{currency}"


def processor_account(processor: str, currency: str) -> str:
    """What a processor owes until it pays out."""
    return f"processor:{processor}:{currency}"


def fees_account(processor: str, currency: str) -> str:
    """What a processor keeps."""
    return f"fees:{processor}:{currency}"


def cash_account(currency: str) -> str:
    """Our account, into which batches are paid out."""
    return f"cash:{currency}"


def exchange_account(currency: str) -> str:
    """The position in a currency that is paid out in another one."""
    return f"exchange:{currency}"

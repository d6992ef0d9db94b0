"""BankSim (Lopez-Rojas and Axelsson, EMSS 2014): card payments of a Spanish bank, simulated.

Text is in single quotes; `step` is a day; amounts are in euros. There are no card numbers, no identifiers of
transactions and no times of day: a day's payments all happen when it begins. The fraud label stays outside.
"""

from expectations.sources.adapter import SourceAdapter
from expectations.sources.columns import constant, day_number, entry_id, fixed_point, money, text

BANKSIM = SourceAdapter(
    name="banksim",
    required=("step", "customer", "gender", "merchant", "amount"),
    quote="'",
    columns={
        "transaction_id": entry_id("banksim"),
        "event_type": constant("authorisation"),
        "event_timestamp": day_number("step"),
        "customer_id": text("customer"),
        "gender": text("gender", unknown="U"),
        "age_band": text("age", unknown="U"),
        "merchant_id": text("merchant"),
        "merchant_segment": text("category"),
        "amount_minor": money("amount", currency=constant("EUR")),
        "currency": constant("EUR"),
        "weight": fixed_point("amount"),
    },
)

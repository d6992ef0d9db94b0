"""Made-up files in exactly the format of the "Transactions Fraud Datasets"."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from expectations.sources.references import References
from tests.support.adapting import tests_tokeniser
from tests.support.card_data import VISA, card_number

TRANSACTION = {
    "id": "7475327",
    "date": "2010-01-01 00:01:00",
    "client_id": "1556",
    "card_id": "2972",
    "amount": "$-77.00",
    "use_chip": "Swipe Transaction",
    "merchant_id": "59935",
    "merchant_city": "Beulah",
    "merchant_state": "ND",
    "zip": "58523.0",
    "mcc": "5499",
    "errors": "",
}
ONLINE = {"use_chip": "Online Transaction", "merchant_city": "ONLINE", "merchant_state": "", "zip": ""}
ABROAD = {"merchant_city": "Rome", "merchant_state": "Italy", "zip": ""}

MASTERCARD = card_number("51", 16)
CARD = {
    "id": "2972",
    "client_id": "1556",
    "card_brand": "Visa",
    "card_type": "Debit",
    "card_number": VISA,
    "expires": "12/2022",
    "cvv": "623417",
    "has_chip": "YES",
    "num_cards_issued": "2",
    "credit_limit": "$24295",
    "acct_open_date": "09/2002",
    "year_pin_last_changed": "2008",
    "card_on_dark_web": "No",
}
"""Its CVV has six digits, as none has, so that a test can look for it."""

USER = {
    "id": "1556",
    "current_age": "53",
    "retirement_age": "66",
    "birth_year": "1966",
    "birth_month": "11",
    "gender": "Female",
    "address": "462 Rose Lane",
    "latitude": "34.15",
    "longitude": "-117.76",
    "per_capita_income": "$29278",
    "yearly_income": "$59696",
    "total_debt": "$127613",
    "credit_score": "787",
    "num_credit_cards": "5",
}


def csv_file(rows: Iterable[Mapping[str, str]], columns: Iterable[str]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def transactions(*changes: Mapping[str, str]) -> bytes:
    """A log with one entry for each set of changes."""
    return csv_file([TRANSACTION | dict(change) for change in changes], TRANSACTION)


def write_references(folder: Path, cards: Iterable[Mapping[str, str]] = (CARD,), users=(USER,)) -> References:
    """The two files in a folder."""
    (folder / "cards_data.csv").write_bytes(csv_file(cards, CARD))
    (folder / "users_data.csv").write_bytes(csv_file(users, USER))
    return References(folder / "cards_data.csv", folder / "users_data.csv", tests_tokeniser)

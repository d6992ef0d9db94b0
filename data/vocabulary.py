"""The closed word lists of the log. Arrays hold a member's value; -1 stands for unknown or not applicable."""

from enum import IntEnum

AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")


class EventType(IntEnum):
    AUTHORISATION = 0
    CAPTURE = 1
    REFUND = 2
    REVERSAL = 3
    CHARGEBACK = 4


class Gender(IntEnum):
    F = 0
    M = 1


class EntryMode(IntEnum):
    CHIP = 0
    CONTACTLESS = 1
    ECOMMERCE = 2
    MAGSTRIPE = 3
    MANUAL = 4


class Solution(IntEnum):
    CARD = 0
    APPLE_PAY = 1
    GOOGLE_PAY = 2
    CLICK_TO_PAY = 3
    PAYPAL = 4


class ThreeDs(IntEnum):
    FRICTIONLESS = 0
    CHALLENGE_PASSED = 1
    CHALLENGE_FAILED = 2
    ABANDONED = 3


class Decline(IntEnum):
    AUTHENTICATION_FAILED = 0
    SUSPECTED_FRAUD = 1
    INVALID_CVV = 2
    EXPIRED_CARD = 3
    LIMIT_EXCEEDED = 4
    INSUFFICIENT_FUNDS = 5
    ISSUER_UNAVAILABLE = 6
    DO_NOT_HONOUR = 7


class Scenario(IntEnum):
    CARD_TESTING = 0
    STOLEN_CARD = 1
    ACCOUNT_TAKEOVER = 2
    MERCHANT_RING = 3
    COLLUDING_MERCHANT = 4


class Network(IntEnum):
    VISA = 0
    MASTERCARD = 1
    AMEX = 2
    DISCOVER = 3
    JCB = 4
    UNIONPAY = 5


def labels(words: type[IntEnum]) -> list[str]:
    """The words as the log spells them, each at the position of its value."""
    return [word.name if words is Gender else word.name.lower() for word in words]

"""The invented payment processors that merchants use: speed, reliability, prices, how they settle."""

from typing import NamedTuple


class Processor(NamedTuple):
    """How one processor works.

    `failure` is the share of requests that never reach the issuer on a normal day. A `dual_message` processor
    settles by a separate capture event; the others settle the authorisation itself. A settled payment costs
    `price_bps` basis points and `price_eur_cents`.
    """

    name: str
    latency_ms: int
    failure: float
    dual_message: bool
    price_bps: int
    price_eur_cents: int


PROCESSORS = (
    Processor("nordpay", 85, 0.002, False, 120, 10),
    Processor("clearbridge", 110, 0.004, True, 105, 12),
    Processor("paystream", 140, 0.006, False, 95, 8),
    Processor("acquira", 95, 0.003, True, 130, 5),
    Processor("vantora", 180, 0.010, False, 80, 15),
)

AUTHORISATION_EUR_CENTS = 2  # for an authorisation that moves no money: declined, or captured later
CROSS_BORDER_BPS = 60
REFUND_EUR_CENTS = 20
CHARGEBACK_EUR_CENTS = 1500

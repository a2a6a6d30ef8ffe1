"""The payment provider, simulated: test tokens like a real one's, and an idempotency key that it honours.

This is the one simulated part of the system. To charge real cards, put a client of your provider here; it needs the
same method and the same promise: two calls with one key are one charge.
"""

import os
from typing import NamedTuple
from uuid import UUID, uuid5

from orders.errors import GatewayUnavailable
from orders.letter import money

DECLINES = {
    "tok_visa": None,
    "tok_mastercard": None,
    "tok_declined": "card_declined",
    "tok_insufficient_funds": "insufficient_funds",
}
"""Each test token, and why it is declined; None where it is approved."""

_NAMESPACE = UUID("5f0f4c1e-6d6b-4a43-9a5c-0f2c3a1d7e55")


class Charge(NamedTuple):
    payment_id: str
    declined: str | None
    """Why the card was declined; None where it was charged."""


class SimulatedGateway:
    """Deterministic in (token, idempotency key): it needs no memory to answer the same call with the same charge."""

    def charge(self, token: str, amount: int, currency: str, *, idempotency_key: str) -> Charge:
        """Charge `amount` (minor units). Raises GatewayUnavailable while `PAYMENT_GATEWAY` is `down`."""
        if os.environ.get("PAYMENT_GATEWAY") == "down":
            raise GatewayUnavailable(f"the payment gateway did not answer; {money(amount, currency)} were not charged")
        return Charge(str(uuid5(_NAMESPACE, f"{token}:{idempotency_key}")), DECLINES[token])

"""The payment provider, simulated: test tokens like a real provider's, and an idempotency key that it honours.

This is the one simulated part of the system. To charge real cards, write a class with the methods of
`ports.PaymentGateway` and let `handlers/wiring.py` return it: docs/architecture.md, "A real payment provider".
"""

import os
from uuid import UUID, uuid5

from orders.errors import GatewayUnavailable
from orders.money import format_money
from orders.ports import Charge

DECLINES = {
    "tok_visa": None,
    "tok_mastercard": None,
    "tok_declined": "card_declined",
    "tok_insufficient_funds": "insufficient_funds",
}
"""Test token → why it is declined; None for one that is approved. Any other token is declined as `unknown_token`."""

_NAMESPACE = UUID("5f0f4c1e-6d6b-4a43-9a5c-0f2c3a1d7e55")


class SimulatedGateway:
    """Deterministic in token and idempotency key, so it needs no memory to give the same result again."""

    def charge(self, token: str, amount: int, currency: str, *, idempotency_key: str) -> Charge:
        """Charge `amount` (minor units). Raises GatewayUnavailable while `PAYMENT_GATEWAY` is `down`."""
        if os.environ.get("PAYMENT_GATEWAY") == "down":
            total = format_money(amount, currency)
            raise GatewayUnavailable(f"the payment gateway does not respond; {total} were not charged")
        payment_id = uuid5(_NAMESPACE, f"{token}:{idempotency_key}")
        return Charge(str(payment_id), DECLINES.get(token, "unknown_token"))

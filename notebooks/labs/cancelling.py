"""The lab of notebook 11: the verdict comes from the order, the provider's ledger, and one more delivery."""

import json
from collections.abc import Mapping
from typing import Any

from notebooks import reader
from notebooks.labs.verdict import Verdict
from orders.events import is_id


def cancelled_and_never_charged(order_id: Any) -> Verdict:
    """The order's payment is voided, and stays voided when its OrderPlacedEvent is delivered once more."""
    if not is_id(order_id):
        return Verdict(False, "pass the id of an order: the `orderId` in the response to `POST /orders`.")
    if missing := not_voided(reader.order(order_id), reader.ledger(order_id)):
        return Verdict(False, missing)
    placed = [row for row in reader.rows_of(order_id) if row["eventType"] == "OrderPlacedEvent"]
    if not placed:
        return Verdict(False, "the audit log has no `OrderPlacedEvent` of that order yet; check again in a moment.")
    if error := _deliver("paymentProcessing", placed[0]):
        return Verdict(False, f"PaymentProcessing got the order's `OrderPlacedEvent` once more, and failed: {error}")
    if missing := not_voided(reader.order(order_id), reader.ledger(order_id)):
        return Verdict(False, f"PaymentProcessing got the order's `OrderPlacedEvent` once more. {missing}")
    return Verdict(
        True,
        "the key is voided. PaymentProcessing got the order's `OrderPlacedEvent` once more, and no money moved.",
    )


def not_voided(order: Mapping[str, Any], ledger: Mapping[str, Any]) -> str | None:
    """What is wrong with an order that should be cancelled without a charge; None where nothing is."""
    if not order:
        return "there is no such order."
    if "cancellation" not in order:
        return f"the order is not cancelled: its status is `{order['status']}`."
    if ledger["charges"]:
        return (
            f"the ledger has {ledger['charges']} charge and {ledger['refunds']} refund: the cancellation came too late"
            " to prevent the charge. How can you keep `OrderPlacedEvent` away from PaymentProcessing?"
        )
    if ledger["state"] is None:
        return (
            "the provider was never asked, so the payment is not voided, and a late `OrderPlacedEvent` could charge."
            " PaymentProcessing missed the `OrderCancelledEvent`: publish it again once the rule is enabled."
        )
    if ledger["state"] != "VOIDED":
        return f"the ledger's state is `{ledger['state']}`; it should be `VOIDED`. Order with `tok_visa`."
    if order["status"] != "CANCELLED":
        return f"the key is voided, but the order's status is still `{order['status']}`; wait with `tour.follow`."
    return None


def _deliver(function: str, row: Mapping[str, Any]) -> str | None:
    """Invoke a function with a logged event, as EventBridge would; return the error that it ends with, if any."""
    stack = reader.the_stack()
    response = stack.client("lambda").invoke(
        FunctionName=stack.function(function), Payload=json.dumps(reader.envelope_of(row))
    )
    payload = json.load(response["Payload"])
    return str(payload["errorMessage"]) if "FunctionError" in response else None

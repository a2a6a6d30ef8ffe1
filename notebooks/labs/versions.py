"""The lab of notebook 12: orders whose only event is of version 0, upcast by the reader and delivered to the stack."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import timedelta
from typing import Any

from notebooks import reader
from notebooks.labs.verdict import Verdict
from orders import clock
from orders.aws.dynamodb import to_item
from orders.aws.store import OrdersTable
from orders.events import OrderPlacedEvent, new_id
from orders.model import Customer, Order, OrderRequest

_SKUS = ("COFFEE-1KG", "KETTLE")
"""18.90 as a float, times 100, is 1889.99…; 49.50 is exact."""


def reads_version_0(upcast: Any) -> Verdict:
    """PaymentProcessing accepts each order's event, and each order is charged once."""
    if not callable(upcast):
        return Verdict(False, 'pass the function itself: `tour.check("12.1", upcast)`.')
    email = reader.customer().email
    for sku in _SKUS:
        order = _new_order(sku, email)
        if fault := fault_of(upcast, order.placed_event()):
            return Verdict(False, fault)
        if refusal := _refusal(order, upcast(version_0(order.placed_event()))):
            return Verdict(False, refusal)
    return Verdict(
        True, "PaymentProcessing accepted each event: the amounts are right to the cent. Each order was charged once."
    )


def version_0(event: OrderPlacedEvent) -> dict[str, Any]:
    """The event's detail as version 0 had it."""
    detail: dict[str, Any] = event.model_dump(mode="json", by_alias=True)
    data = detail["data"]
    detail["metadata"]["version"] = "0"
    data["customer"] = data.pop("customerId")
    units, cents = divmod(data.pop("totalAmount"), 100)
    data["amount"] = f"{units}.{cents:02}"
    return detail


def fault_of(upcast: Callable[[Any], Any], event: OrderPlacedEvent) -> str | None:
    """What is wrong with an upcaster, judged by its results alone, before the stack gets any; None if nothing is."""
    old, current = version_0(event), event.model_dump(mode="json", by_alias=True)
    given = deepcopy(old)
    result = upcast(given)
    if given != old:
        return "`upcast` has changed the detail that it got. An upcaster is pure: it builds a new one."
    if not isinstance(result, Mapping) or set(result) != {"metadata", "data"}:
        return "`upcast` should return a detail, with `metadata` and `data`."
    try:
        json.dumps(result)
    except TypeError as error:
        return f"an event is JSON, but what `upcast` returns isn't: {error}."
    if upcast(deepcopy(current)) != current:
        return 'a detail of version `"1"` should come back as it is.'
    return None


def _new_order(sku: str, email: str) -> Order:
    """An order that is stored nowhere yet; the reconciler would look at it in an hour."""
    now = clock.now()
    return Order.place(
        OrderRequest.model_validate({"items": [{"sku": sku, "quantity": 1}], "paymentMethod": "tok_visa"}),
        Customer(customer_id=f"reader-{new_id()}", email=email),
        order_id=new_id(),
        request_id=f"lab-{new_id()}",
        at=clock.timestamp(now),
        due_at=clock.timestamp(now + timedelta(hours=1)),
        event_id=new_id(),
    )


def _refusal(order: Order, detail: Mapping[str, Any]) -> str | None:
    """Store the order and deliver the detail to the stack; return why it's refused, or None if the order ends well."""
    stack = reader.the_stack()
    dynamodb, table = stack.client("dynamodb"), stack.outputs["OrdersTableName"]
    OrdersTable(dynamodb, table).put(order)
    row = {"source": OrderPlacedEvent.source, "eventType": OrderPlacedEvent.detail_type(), "detail": detail}
    event = reader.envelope_of({**row, "eventId": new_id(), "timestamp": order.placed_at})
    response = stack.client("lambda").invoke(
        FunctionName=stack.function("paymentProcessing"), Payload=json.dumps(event)
    )
    if "FunctionError" in response:
        dynamodb.delete_item(TableName=table, Key=to_item({"orderId": order.order_id}))  # else it is due in an hour
        return f"PaymentProcessing rejects what you returned: {json.load(response['Payload'])['errorMessage']}"
    reader.publish(row)  # once more, over the bus: the audit log has the event as well, and nothing is charged twice
    ended, _ = reader.follow(order.order_id)
    charges = reader.ledger(order.order_id)["charges"]
    if (ended["status"], charges) != ("FULFILLED", 1):
        return f"the order ended as {ended['status']} with {charges} charges; it should be FULFILLED, with one."
    return None

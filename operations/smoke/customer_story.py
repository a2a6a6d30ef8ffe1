"""The customer's checks: sign up, order, see the order end, and see nobody else's orders."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from operations import ledger
from operations.customer import ShopAccount
from operations.smoke.api import call
from operations.smoke.visit import CheckFailed, NotTried, Visit, expect

_APPROVED = {"items": [{"sku": "GRINDER", "quantity": 1}, {"sku": "MUG", "quantity": 2}], "paymentMethod": "tok_visa"}
_CANCELLED = {"items": [{"sku": "FILTERS-100", "quantity": 2}], "paymentMethod": "tok_visa"}
_DECLINED = {"items": [{"sku": "KETTLE", "quantity": 1}], "paymentMethod": "tok_declined"}

ORDERS_TO_CANCEL = 10
"""A cancellation races with the charge and the shipment, so it is tried with more than one order."""

APPROVED_TRAIL = ("OrderPlacedEvent", "PaymentCompletedEvent", "FulfillmentCompletedEvent")
DECLINED_TRAIL = ("OrderPlacedEvent", "PaymentFailedEvent")


def catalogue(visit: Visit) -> str:
    response = call(visit.stack, "GET", "/products")
    expect("GET /products", response.status, 200)
    return f"{len(response.body['products'])} products, without a token"


def no_token(visit: Visit) -> str:
    for method, path in (("GET", "/orders"), ("POST", "/orders")):
        response = call(visit.stack, method, path, body={} if method == "POST" else None)
        expect(f"{method} {path} without a token", response.status, 401)
    return "401"


def sign_up(visit: Visit) -> str:
    visit.keep("customer", _customer(visit))
    visit.keep("other customer", _customer(visit))
    return "two customers, at SES's mailbox simulator"


def _customer(visit: Visit) -> ShopAccount:
    """The simulator accepts mail also in SES's sandbox, from any verified sender, and bounces nothing."""
    email = f"success+smoke-{uuid4().hex[:12]}@simulator.amazonses.com"
    visit.accounts.append(email)
    return ShopAccount(visit.stack.client("cognito-idp"), visit.stack.outputs, visit.stack.api_url, email)


def place(visit: Visit) -> str:
    token, key = visit.need("customer").token, str(uuid4())
    placed = call(visit.stack, "POST", "/orders", token=token, body=_APPROVED, key=key)
    expect("POST /orders", placed.status, 201)
    visit.keep("placed order", placed.body)
    again = call(visit.stack, "POST", "/orders", token=token, body=_APPROVED, key=key)
    expect("POST /orders with the same Idempotency-Key", again.status, 200)
    expect("the order of the same key", again.body["orderId"], placed.body["orderId"])
    expect("Idempotency-Replayed", again.headers.get("Idempotency-Replayed"), "true")
    return "201, and with the same key again 200 and the same order"


def approved(visit: Visit) -> str:
    order = _ended(visit, visit.need("placed order")["orderId"], "FULFILLED")
    expect("the payment's status", order["payment"]["status"], "COMPLETED")
    if not order.get("fulfillment", {}).get("trackingId"):
        raise CheckFailed("the fulfilled order has no trackingId")
    visit.keep("approved order", order)
    return _statuses(order)


def declined(visit: Visit) -> str:
    placed = call(visit.stack, "POST", "/orders", token=visit.need("customer").token, body=_DECLINED)
    expect("POST /orders", placed.status, 201)
    order = _ended(visit, placed.body["orderId"], "PAYMENT_FAILED")
    expect("the reason", order["payment"]["reason"], "card_declined")
    visit.keep("declined order", order)
    return _statuses(order) + ", card_declined"


def cancelled(visit: Visit) -> str:
    """Cancelled right after it was placed: whether that comes before the charge is up to the stage."""
    for too_late in range(ORDERS_TO_CANCEL):
        order_id = place_one(visit)
        if request_cancellation(visit, order_id) != 409:
            seen = settled(visit, order_id)
            return f"{seen}; {too_late} were shipped before" if too_late else seen
    raise NotTried(f"each of {ORDERS_TO_CANCEL} orders was shipped before it could be cancelled")


def place_one(visit: Visit) -> str:
    """The id of a new order, to be cancelled."""
    placed = call(visit.stack, "POST", "/orders", token=visit.need("customer").token, body=_CANCELLED)
    expect("POST /orders", placed.status, 201)
    return str(placed.body["orderId"])


def request_cancellation(visit: Visit, order_id: str) -> int:
    """The status of the response: 202, or 409 if it is too late. A repeated request gets 200."""
    token, path = visit.need("customer").token, f"/orders/{order_id}/cancellation"
    asked = call(visit.stack, "POST", path, token=token)
    if asked.status != 409:
        expect("POST of the cancellation", asked.status, 202)
        expect("POST of the same cancellation", call(visit.stack, "POST", path, token=token).status, 200)
    return asked.status


def settled(visit: Visit, order_id: str, wanted: str = "") -> str:
    """Wait until the cancelled order has ended; return when it was cancelled.

    Raises CheckFailed if payment, e-mail, events and ledger do not agree, or the status is not the wanted one.
    """
    order = visit.wait(
        "end of the cancelled order", partial(look_at, visit, order_id), _is_settled_and_notified, show=_status
    )
    if wanted:
        expect("the order's status", order["status"], wanted)
    expect("the number of parcels", int("fulfillment" in order), 0)
    must_be_settled(order)
    if not order["notification"].get("messageId"):
        raise CheckFailed("SES refused the e-mail for the cancelled order for good")
    events = {"OrderCancelledEvent", *(["PaymentRefundedEvent"] if order["status"] == "REFUNDED" else [])}
    look = partial(_trail, visit, order_id)
    trail = visit.wait("whole audit trail of the cancelled order", look, partial(_has_all, events), show=_types)
    must_record_the_cancellation(order, trail)
    if wrong := ledger.check(visit.stack, order_id):
        raise CheckFailed(
            f"order and ledger differ: {wrong.what}; the order: {wrong.order}; the ledger: {wrong.ledger}"
        )
    visit.keep("cancelled order", order)
    if order["status"] == "REFUNDED":
        visit.keep("refunded order", order)
    when = "after" if order["status"] == "REFUNDED" else "before"
    return f"{when} the charge: {_statuses(order)}, the ledger agrees"


def _is_settled_and_notified(order: Mapping[str, Any]) -> bool:
    settled = order["status"] == "REFUNDED" or order.get("payment", {}).get("status") == "VOIDED"
    return settled and order["status"] != "PLACED" and "notification" in order


def must_be_settled(order: Mapping[str, Any]) -> None:
    """The whole charge was refunded, or nothing was charged. Raises CheckFailed."""
    if order["status"] == "REFUNDED":
        expect("the payment's status", order["payment"]["status"], "COMPLETED")
        refund = order.get("refund", {})
        expect("the refund", (refund.get("amount"), refund.get("currency")), (order["totalAmount"], order["currency"]))
    else:
        expect("the order's status", order["status"], "CANCELLED")
        expect("the payment", order["payment"], {"status": "VOIDED"})
        expect("the number of refunds", int("refund" in order), 0)


def must_record_the_cancellation(order: Mapping[str, Any], trail: Sequence[Mapping[str, Any]]) -> None:
    """The trail has no payment if nothing was charged, else a refund caused by the cancellation. Raises CheckFailed."""
    events = {each["eventType"]: each for each in trail}
    expect("the number of the trail's correlation ids", len({each["correlationId"] for each in trail}), 1)
    expect("the cause of OrderCancelledEvent", events["OrderCancelledEvent"]["causationId"], None)
    if order["status"] == "REFUNDED":
        cause = events["OrderCancelledEvent"]["domainEventId"]
        expect("the cause of PaymentRefundedEvent", events["PaymentRefundedEvent"]["causationId"], cause)
    else:
        payments = sorted(name for name in events if name.startswith("Payment"))
        expect("the payment events of the trail", payments, [])


def notified(visit: Visit) -> str:
    """Each has one e-mail that SES accepted; a rejected one closes the order as well, and is no success."""
    for name in ("approved order", "declined order"):
        look = partial(look_at, visit, visit.need(name)["orderId"])
        order = visit.wait(f"e-mail for the {name}", look, lambda seen: "notification" in seen, show=_sender_hint)
        if not order["notification"].get("messageId"):
            raise CheckFailed(f"SES refused the e-mail for the {name} for good")
        visit.keep(name, order)
    return "SES accepted both e-mails"


def _sender_hint(order: Mapping[str, Any]) -> str:
    return "a final order whose customer was not notified; npm run preflight says whether the sender is verified"


def trails(visit: Visit) -> str:
    """Each event is in the audit trail, caused by the one before it, under the correlation id of the request."""
    for name, events in (("approved order", APPROVED_TRAIL), ("declined order", DECLINED_TRAIL)):
        look, whole = partial(_trail, visit, visit.need(name)["orderId"]), partial(_has_all, events)
        trail = visit.wait(f"whole audit trail of the {name}", look, whole, show=_types)
        must_be_a_chain(name, trail, events)
        visit.keep(f"trail of the {name}", trail)
    return " → ".join(APPROVED_TRAIL) + "; " + " → ".join(DECLINED_TRAIL)


def _has_all(events: Collection[str], trail: list[Mapping[str, Any]]) -> bool:
    return {each["eventType"] for each in trail} >= set(events)


def _types(trail: list[Mapping[str, Any]]) -> str:
    return ", ".join(each["eventType"] for each in trail) or "no event"


def must_be_a_chain(name: str, trail: Sequence[Mapping[str, Any]], events: tuple[str, ...]) -> None:
    """An event may be there more than once, as EventBridge delivers it at least once, but always as the same fact."""
    facts = {(each["eventType"], each["domainEventId"], each["causationId"]) for each in trail}
    expect(f"the number of facts in the trail of the {name}", len(facts), len(events))
    expect(f"the number of correlation ids of the {name}", len({each["correlationId"] for each in trail}), 1)
    cause = None
    for event in events:
        [(_, event_id, causation_id)] = [fact for fact in facts if fact[0] == event]
        expect(f"the cause of {event}", causation_id, cause)
        cause = event_id


def own_orders_only(visit: Visit) -> str:
    order_id, other = visit.need("placed order")["orderId"], visit.need("other customer").token
    for path in (f"/orders/{order_id}", f"/orders/{order_id}/events"):
        expect(f"somebody else's GET {path}", call(visit.stack, "GET", path, token=other).status, 404)
    mine = call(visit.stack, "GET", "/orders", token=other)
    expect("the number of the other customer's orders", len(mine.body["orders"]), 0)
    return "404 for another customer, whose own list is empty"


def _ended(visit: Visit, order_id: str, status: str) -> Any:
    """The order in its final status. Raises CheckFailed for any other."""
    order = visit.wait(
        f"end of the order that should be {status}",
        lambda: look_at(visit, order_id),
        lambda seen: seen["status"] in {"FULFILLED", "PAYMENT_FAILED"},
        show=_status,
    )
    expect("the order's status", order["status"], status)
    return order


def _status(order: Mapping[str, Any]) -> str:
    return str(order["status"])


def _statuses(order: Mapping[str, Any]) -> str:
    return " → ".join(each["status"] for each in order["statusHistory"])


def look_at(visit: Visit, order_id: str) -> Any:
    """The customer's order as it is now."""
    response = call(visit.stack, "GET", f"/orders/{order_id}", token=visit.need("customer").token)
    expect("GET of the customer's own order", response.status, 200)
    return response.body


def _trail(visit: Visit, order_id: str) -> Any:
    response = call(visit.stack, "GET", f"/orders/{order_id}/events", token=visit.need("customer").token)
    expect("GET of the order's events", response.status, 200)
    return response.body["events"]

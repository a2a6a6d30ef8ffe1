"""The workload: customers, an operator, and an adversary who forges events."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from operations.dead_letters import redrive
from orders.aws.dynamodb import from_item
from orders.aws.gateway import DECLINES
from orders.catalogue import PRODUCTS
from orders.events import EVENTS
from verification.simulation.cloud import SimulatedCloud
from verification.simulation.deployment import QUEUE_TRIGGERS, function_of
from verification.simulation.faults import FaultKind, Faults
from verification.simulation.harness import stack
from verification.simulation.online_checker import request_id
from verification.simulation.random_source import RandomSource
from verification.simulation.trace import Trace
from verification.simulation.world import Process

ORDERING_SECONDS = 600.0
"""All orders of a schedule are placed within this time."""
_MOST_ATTEMPTS = 6
_CANCELLATION = "POST /orders/{orderId}/cancellation"
_READ_WITHIN_SECONDS = 3600.0
_CANCELLED_SHARE = 0.4
_CANCELLED_SOON_SECONDS = (0.05, 2.0)
"""Between the response and the change of mind: while the order is on its way, if nothing goes wrong."""
_CANCELLED_LATER_SECONDS = (0.001, 7200.0)
"""At any other moment."""
_LOOK_INTERVAL_SECONDS = 0.03
_LOOKS = 100
_OPERATOR_INTERVAL_SECONDS = 300


class SimulatedCustomer:
    """Places one order; with an Idempotency-Key, retries until there is a response."""

    def __init__(self, number: int, cloud: SimulatedCloud, faults: Faults, rng: RandomSource, trace: Trace) -> None:
        self.label = str(number)
        self._cloud = cloud
        self._faults = faults
        self._rng = rng
        self._trace = trace
        self._who = f"customer-{number // 3}"  # three orders each
        self._key = f"key-{number % 3}" if self._draw("has a key") < 0.8 else None
        skus = sorted(PRODUCTS)[: 1 + int(self._draw("lines") * 3)]
        self._body = {
            "items": [{"sku": sku, "quantity": 1 + int(self._draw(sku) * 5)} for sku in skus],
            "paymentMethod": rng.one_of(f"{number} method", sorted(DECLINES)),
            **({"phone": f"+4915112{number:05}"} if self._draw("phone") < 0.4 else {}),
        }

        self._changes_mind = self._draw("changes mind") < _CANCELLED_SHARE

    def schedule(self, within: float = ORDERING_SECONDS) -> None:
        """Schedule the order, perhaps a double click, and two reads; a response may be followed by a cancellation."""
        when = self._draw("when") * within
        self._cloud.world.later(when, lambda: self._post(f"{self.label}.POST"))
        place = f"{self.label} clicks"
        if self._key and self._faults.at(place, (FaultKind.ASKED_TWICE,)):
            self._trace.record(place, "POST /orders", FaultKind.ASKED_TWICE, place)
            again = when + self._draw("again") * 0.1
            self._cloud.world.later(again, lambda: self._post(f"{self.label}.POST'"))
        for number in range(2):
            read_at = when + self._draw(f"look {number}") * _READ_WITHIN_SECONDS
            self._cloud.world.later(read_at, partial(self._read, number))

    def _post(self, name: str, attempt: int = 1) -> None:
        def ended(response: Any, error: BaseException | None) -> None:
            lost = (
                error or response["statusCode"] >= 500 or self._faults.at(f"{name}.{attempt} answer", (FaultKind.LOST,))
            )
            if error is None:
                order = json.loads(response["body"])
                self._cloud.checker.responded(process(), self._key and f"{self._who} {self._key}", response, order)
                self._trace.record(name, f"response {response['statusCode']}")
                if response["statusCode"] == 201 and self._key and self._draw("other order, same key") < 0.2:
                    self._reuse_key(name)
                if self._changes_mind and "orderId" in order:
                    self._changes_mind = False
                    self._change_mind(order["orderId"])
            if lost and self._key and attempt < _MOST_ATTEMPTS:
                wait = self._rng.between(f"{name}.{attempt} retry", 0.5, 90)
                self._cloud.world.later(wait, lambda: self._post(name, attempt + 1))

        def process() -> Process:
            return self._cloud.world.process

        self._request("POST /orders", f"{name}.{attempt}", ended, body=json.dumps(self._body))

    def _change_mind(self, order_id: str) -> None:
        """Cancel the order a while later, perhaps by two clicks; another customer may try as well."""
        kind = self._draw("changes mind when")
        within = _CANCELLED_LATER_SECONDS if kind < 0.3 else _CANCELLED_SOON_SECONDS
        after = self._rng.between(f"{self.label} cancels after", *within)
        if kind < 0.65:
            self._cloud.world.later(after, lambda: self._cancel(order_id, f"{self.label}.CANCEL"))
        else:
            self._cancel_once_charged(order_id, looks=_LOOKS)
        place = f"{self.label} cancels twice"
        if self._faults.at(place, (FaultKind.ASKED_TWICE,)):
            self._trace.record(place, "cancellation", FaultKind.ASKED_TWICE, place)
            again = after + self._draw("cancels again") * 0.1
            self._cloud.world.later(again, lambda: self._cancel(order_id, f"{self.label}.CANCEL'"))
        place = f"{self.label} cancelled by another"
        if self._faults.at(place, (FaultKind.CANCELLED_BY_ANOTHER,)):
            self._trace.record(place, "cancellation", FaultKind.CANCELLED_BY_ANOTHER, place)
            self._cloud.world.later(after * self._draw("other"), lambda: self._try_to_cancel_anothers(order_id))

    def _cancel_once_charged(self, order_id: str, looks: int) -> None:
        """Cancel the order right after its charge, or when the polls are used up: the riskiest moment."""
        item = self._cloud.tables["Orders"].get({"orderId": {"S": order_id}})
        if (item and "payment" in item) or looks == 0:
            self._cancel(order_id, f"{self.label}.CANCEL")
        else:
            again = partial(self._cancel_once_charged, order_id, looks - 1)
            self._cloud.world.later(_LOOK_INTERVAL_SECONDS, again)

    def _cancel(self, order_id: str, name: str, attempt: int = 1) -> None:
        def ended(response: Any, error: BaseException | None) -> None:
            if error is None:
                self._cloud.checker.cancellation_responded(self._cloud.world.process, response, order_id)
                self._trace.record(name, f"response {response['statusCode']}")
            lost = (
                error or response["statusCode"] >= 500 or self._faults.at(f"{name}.{attempt} answer", (FaultKind.LOST,))
            )
            if lost and attempt < _MOST_ATTEMPTS:
                wait = self._rng.between(f"{name}.{attempt} retry", 0.5, 90)
                self._cloud.world.later(wait, lambda: self._cancel(order_id, name, attempt + 1))

        self._request(_CANCELLATION, f"{name}.{attempt}", ended, path={"orderId": order_id})

    def _try_to_cancel_anothers(self, order_id: str) -> None:
        def ended(response: Any, error: BaseException | None) -> None:
            process = self._cloud.world.process
            if error is None and response["statusCode"] != 404 and not process.excused:
                self._cloud.checker.broken(f"{process.name} got a {response['statusCode']} for another's order")
            self._cloud.checker.cancelled_for_a_stranger(process, order_id)

        name = f"{self.label}.CANCEL by another"
        self._request(_CANCELLATION, name, ended, path={"orderId": order_id}, who="somebody else")

    def _reuse_key(self, name: str) -> None:
        """Place another order with the same Idempotency-Key, which must be refused."""

        def ended(response: Any, error: BaseException | None) -> None:
            process = self._cloud.world.process
            if error is None and response["statusCode"] != 422 and not process.excused:
                self._cloud.checker.broken(f"{process.name} placed another order with one key: {response}")

        body = {**self._body, "items": [{"sku": "GRINDER", "quantity": 77}]}
        self._request("POST /orders", f"{name}.other", ended, body=json.dumps(body))

    def _read(self, number: int) -> None:
        """Read the list of orders, and the first order's page and events."""
        name = f"{self.label}.look{number}"

        def listed(response: Any, error: BaseException | None) -> None:
            self._expect_success(response, error)
            found = json.loads(response["body"]).get("orders", []) if error is None else []
            for order in found[:1]:
                path = {"orderId": order["orderId"]}
                for route in ("GET /orders/{orderId}", "GET /orders/{orderId}/events"):
                    self._request(route, f"{name}.{len(route)}", self._expect_success, path=path)

        self._request("GET /orders", name, listed)

    def _expect_success(self, response: Any, error: BaseException | None) -> None:
        process = self._cloud.world.process
        excused = process.excused or self._cloud.checker.used_up_retries(process)
        if error is None and response["statusCode"] != 200 and not excused:
            self._cloud.checker.broken(f"{process.name} got a {response['statusCode']}, and nothing went wrong")

    def _request(
        self,
        route: str,
        name: str,
        ended: Callable[[Any, BaseException | None], None],
        *,
        body: str = "",
        path: Mapping[str, str] | None = None,
        who: str = "",
    ) -> None:
        claims = {
            "sub": who or self._who,
            "email": f"{self._who}@example.com",
            "email_verified": "true",
            "token_use": "id",
        }
        request = {
            "version": "2.0",
            "routeKey": route,
            "headers": {
                "content-type": "application/json",
                **({"idempotency-key": self._key} if self._key else {}),
            },
            "requestContext": {"requestId": request_id(name), "authorizer": {"jwt": {"claims": claims}}},
            "isBase64Encoded": False,
            "body": body,
            "pathParameters": dict(path or {}),
            "queryStringParameters": {"limit": "2"} if route == "GET /orders" else {},
        }
        self._cloud.invoke(function_of(route), request, name, self.label, ended, events=[])

    def _draw(self, what: str) -> float:
        return self._rng.draw(f"{self.label} {what}")


class SimulatedOperator:
    """Redrives the dead letters and replays the archive, also at the wrong moments."""

    def __init__(self, cloud: SimulatedCloud, faults: Faults, rng: RandomSource, trace: Trace) -> None:
        self._cloud = cloud
        self._faults = faults
        self._rng = rng
        self._trace = trace

    def schedule(self, until: float) -> None:
        """Schedule the redrives and replays that the faults decide."""
        for slot in range(0, int(until), _OPERATOR_INTERVAL_SECONDS):
            name = f"redrive {slot}"
            if self._faults.at(name, (FaultKind.REDRIVEN,)):
                self._cloud.world.later(slot, partial(self.redrive_dead_letters, name, FaultKind.REDRIVEN))
            name = f"replay {slot}"
            if self._faults.at(name, (FaultKind.REPLAYED,)):
                self._cloud.world.later(slot, partial(self.replay_archive, name, FaultKind.REPLAYED))

    def redrive_dead_letters(self, name: str, fault: FaultKind | None = None) -> None:
        """Run the code of `npm run dlq -- redrive`."""
        process = Process(name, "")
        self._trace.record(process, "begins", fault, name if fault else "")

        def ended(letters: Any, error: BaseException | None) -> None:
            self._trace.record(process, f"{type(error).__name__}: {error}" if error else f"redrove {len(letters)}")
            if error:
                self._cloud.checker.failed(process, error, [{}])

        self._cloud.world.start(process, lambda: list(redrive(stack(self._cloud))), ended)

    def replay_archive(self, name: str, fault: FaultKind | None = None) -> None:
        """Deliver every event of the archive again, in random order."""
        self._trace.record(name, "begins", fault, name if fault else "")
        for envelope, event in self._cloud.archive:
            again = {**envelope, "replay-name": name}
            delay = self._rng.between(f"{name} {event}", 0.1, 300)
            self._cloud.world.later(delay, partial(self._cloud.route, again, f"{event} in {name}"))


class Adversary:
    """Forges events about orders that exist, and sends messages that aren't JSON to the queues."""

    def __init__(self, cloud: SimulatedCloud, faults: Faults, rng: RandomSource, trace: Trace) -> None:
        self._cloud = cloud
        self._faults = faults
        self._rng = rng
        self._trace = trace

    def schedule(self, orders: list[str]) -> None:
        for label in orders:
            place = f"{label} forged"
            if self._faults.at(place, (FaultKind.FORGED,)):
                when = self._rng.draw(f"{place} when") * 2 * ORDERING_SECONDS
                self._cloud.world.later(when, partial(self._forge, label, place))

    def _forge(self, label: str, place: str) -> None:
        items = self._cloud.tables["Orders"].items.values()
        found = [from_item(item) for item in items if self._cloud.checker.labels[item["orderId"]["S"]] == label]
        if not found:
            return
        kind = self._rng.one_of(f"{place} kind", [_POISON, *sorted(_FORGERIES)])
        if kind == _POISON:
            body = f"no JSON {self._cloud.new_id()}"
            self._trace.record(place, "a message that is no JSON", FaultKind.FORGED, place)
            self._cloud.checker.forged.add(body)
            for trigger in QUEUE_TRIGGERS:
                self._cloud.enqueue(trigger, body, place)
            return
        detail_type, metadata, data = _FORGERIES[kind](found[0], self._cloud.new_id)
        self._trace.record(place, f"{kind}: {detail_type}", FaultKind.FORGED, place)
        detail = json.dumps({"metadata": metadata, "data": data})
        entry = {"DetailType": detail_type, "Source": EVENTS[detail_type].source, "Detail": detail}
        self._cloud.put_event(entry, forged=True)


_POISON = "poison"
_Forgery = tuple[str, dict[str, Any], dict[str, Any]]
"""An event's type, metadata and data."""


def _metadata(order: Mapping[str, Any], new_id: Callable[[], str]) -> dict[str, Any]:
    return {
        "eventId": new_id(),
        "version": "1",
        "occurredAt": order["placedAt"],
        "correlationId": order["correlationId"],
        "causationId": order["statusHistory"][0]["eventId"],
        "attempt": 1,
    }


def _placed(order: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    names = ("orderId", "customerId", "items", "totalAmount", "currency", "paymentMethod")
    return {**{name: order[name] for name in names}, **changes}


def _placed_metadata(order: Mapping[str, Any]) -> dict[str, Any]:
    """The real metadata of the event that placed the order."""
    first = order["statusHistory"][0]
    return {
        "eventId": first["eventId"],
        "version": "1",
        "occurredAt": first["at"],
        "correlationId": order["correlationId"],
        "causationId": None,
        "attempt": 1,
    }


def _last_event(order: Mapping[str, Any], **changes: Any) -> _Forgery:
    """The last event of the order, genuine except for a part of its metadata."""
    if "refund" in order:
        kind, result = "PaymentRefundedEvent", order["refund"]
        data = {**_money(order), "paymentId": order["payment"]["paymentId"], "refundId": result["refundId"]}
    elif "cancellation" in order:
        kind, result = "OrderCancelledEvent", {**order["cancellation"], "causationId": None}
        data = {**_customer(order), "reason": result["reason"]}
    elif "fulfillment" in order:
        kind, result = "FulfillmentCompletedEvent", order["fulfillment"]
        data = {"orderId": order["orderId"], **{name: result[name] for name in ("trackingId", "carrier")}}
    elif "payment" in order:
        result = order["payment"]
        kind = f"Payment{result['status'].capitalize()}Event"
        data = {**_money(order), **{name: result[name] for name in ("paymentId", "reason") if name in result}}
    else:
        return "OrderPlacedEvent", {**_placed_metadata(order), **changes, "causationId": None}, _placed(order)
    own = {name: result[name] for name in ("eventId", "occurredAt", "causationId")}
    return kind, {**_placed_metadata(order), **own, **changes}, data


def _refund_of_another_amount(order: Mapping[str, Any], new_id: Callable[[], str]) -> tuple[dict[str, Any], Any]:
    """Metadata and data of a refund; if the order was refunded, they are genuine except for the amount."""
    ids = {"paymentId": new_id(), "refundId": new_id()}
    metadata, data = _metadata(order, new_id), {**_money(order), **ids}
    if "refund" in order:
        _, metadata, data = _last_event(order)
    return metadata, {**data, "totalAmount": order["totalAmount"] - 1}


def _customer(order: Mapping[str, Any]) -> dict[str, Any]:
    return {name: order[name] for name in ("orderId", "customerId")}


def _money(order: Mapping[str, Any]) -> dict[str, Any]:
    return {name: order[name] for name in ("orderId", "totalAmount", "currency")}


_FORGERIES: dict[str, Callable[[Mapping[str, Any], Callable[[], str]], _Forgery]] = {
    "paid": lambda order, new_id: (
        "PaymentCompletedEvent",
        _metadata(order, new_id),
        {**_money(order), "paymentId": new_id()},
    ),
    "declined": lambda order, new_id: (
        "PaymentFailedEvent",
        _metadata(order, new_id),
        {**_money(order), "paymentId": new_id(), "reason": "card_declined"},
    ),
    "shipped": lambda order, new_id: (
        "FulfillmentCompletedEvent",
        _metadata(order, new_id),
        {"orderId": order["orderId"], "trackingId": "NW000000000000", "carrier": "Northwind Parcel"},
    ),
    "cancelled": lambda order, new_id: (
        "OrderCancelledEvent",
        _metadata(order, new_id),
        {**_customer(order), "reason": "customer_request"},
    ),
    "refunded": lambda order, new_id: (
        "PaymentRefundedEvent",
        _metadata(order, new_id),
        {**_money(order), "paymentId": order.get("payment", {}).get("paymentId", new_id()), "refundId": new_id()},
    ),
    "refunded another amount": lambda order, new_id: (
        "PaymentRefundedEvent",
        *_refund_of_another_amount(order, new_id),
    ),
    "cheaper": lambda order, new_id: (
        "OrderPlacedEvent",
        _metadata(order, new_id),
        _placed(order, totalAmount=order["totalAmount"] - 1),
    ),
    "another card": lambda order, new_id: (
        "OrderPlacedEvent",
        _metadata(order, new_id),
        _placed(order, paymentMethod="tok_visa" if order["paymentMethod"] != "tok_visa" else "tok_mastercard"),
    ),
    "other items": lambda order, new_id: (
        "OrderPlacedEvent",
        _placed_metadata(order),
        _placed(order, items=[{**line, "name": "a brick"} for line in order["items"]]),
    ),
    "placed in the year 2999": lambda order, new_id: (
        "OrderPlacedEvent",
        {**_placed_metadata(order), "occurredAt": "2999-01-01T00:00:00.000Z"},
        _placed(order),
    ),
    "placed by another event": lambda order, new_id: (
        "OrderPlacedEvent",
        {**_placed_metadata(order), "eventId": new_id()},
        _placed(order),
    ),
    "happened in the year 2999": lambda order, _: _last_event(order, occurredAt="2999-01-01T00:00:00.000Z"),
    "of another event's id": lambda order, new_id: _last_event(order, eventId=new_id()),
    "caused by another event": lambda order, new_id: _last_event(order, eventId=new_id(), causationId=new_id()),
    "no such order": lambda order, new_id: (
        "OrderPlacedEvent",
        _metadata(order, new_id),
        _placed(order, orderId=new_id()),
    ),
    "malformed": lambda order, new_id: (
        "PaymentCompletedEvent",
        _metadata(order, new_id),
        {**_money(order), "paymentId": "", "totalAmount": str(order["totalAmount"])},
    ),
    "another version": lambda order, new_id: (
        "FulfillmentCompletedEvent",
        {**_metadata(order, new_id), "version": "2"},
        {"orderId": order["orderId"], "trackingId": "NW000000000000", "carrier": "Northwind Parcel"},
    ),
}

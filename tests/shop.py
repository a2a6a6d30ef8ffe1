"""The whole system in one process: the handlers behind an API, a bus and a queue that follow serverless.yml."""

import json
import re
from base64 import b64encode
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit
from uuid import uuid4

import operations.envelope
from orders.aws.dynamodb import from_item, to_item
from tests.wire import Wire
from tools import topology
from verification import matching

Envelope = dict[str, Any]
"""An event as EventBridge hands it to its targets."""

ORDERS, AUDIT_LOG, LEDGER, FEED = "Orders", "AuditLog", "GatewayLedger", "Feed"
"""The tables' names, as the environment in conftest.py has them."""


class Caller(NamedTuple):
    """Who calls the API, as the claims of the token say."""

    sub: str
    email: str = "anna@example.com"
    email_verified: str = "true"
    token_use: str = "id"

    def claims(self) -> dict[str, str]:
        return {name: value for name, value in self._asdict().items() if value}


ANNA = Caller("anna")
BELA = Caller("bela", "bela@example.com")


class ApiResponse(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


class NotTold(Exception):
    """Notification gave its message back to the queue."""


@dataclass(frozen=True)
class Context:
    """What the handlers use of Lambda's context: the id is a new one for each invocation."""

    aws_request_id: str = field(default_factory=lambda: str(uuid4()))

    remaining_ms: int = 120_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


def an_order(**changes: Any) -> dict[str, Any]:
    """A body of `POST /orders`: two mugs at 14.00 EUR each."""
    return {"items": [{"sku": "MUG", "quantity": 2}], "paymentMethod": "tok_visa", **changes}


class Shop:
    """Publishing only queues: `run` delivers, or a test does it by hand, in its own order and as often as it likes."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._seen = 0
        self._waiting: deque[tuple[str, Envelope]] = deque()
        self._dynamodb = wire.client("dynamodb")

    # --- the API --------------------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        by: Caller | None = ANNA,
        headers: Mapping[str, str | None] | None = None,
        request_id: str | None = None,
        base64: bool = False,
    ) -> ApiResponse:
        """A request as the HTTP API hands it on (payload format 2.0).

        A string as body is sent as it is, bytes in base64; a header that is None is left out.
        """
        parts = urlsplit(url)
        routes = {route: each for each in topology.functions() for route in topology.routes(each)}
        for route in routes:
            wanted, _, path = route.partition(" ")
            found = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path), parts.path)
            if wanted == method and found:
                break
        else:
            raise LookupError(f"the API has no route for {method} {url}")
        request: dict[str, Any] = {
            "version": "2.0",
            "routeKey": route,
            "headers": {
                name: value
                for name, value in {"content-type": "application/json", **(headers or {})}.items()
                if value is not None
            },
            "isBase64Encoded": base64 or isinstance(body, bytes),
            "requestContext": {"requestId": request_id or f"request-{uuid4()}"},
        }
        if by:
            request["requestContext"]["authorizer"] = {"jwt": {"claims": by.claims(), "scopes": None}}
        if found.groupdict():
            request["pathParameters"] = found.groupdict()
        if parts.query:
            values: dict[str, list[str]] = {}
            for name, value in parse_qsl(parts.query, keep_blank_values=True):
                values.setdefault(name, []).append(value)
            request["queryStringParameters"] = {name: ",".join(several) for name, several in values.items()}
        if body is not None:
            raw_body = body if isinstance(body, str | bytes) else json.dumps(body)
            if request["isBase64Encoded"]:
                raw_body = b64encode(raw_body if isinstance(raw_body, bytes) else raw_body.encode()).decode()
            request["body"] = raw_body
        raw = self.invoke(routes[route], request)
        return ApiResponse(raw["statusCode"], raw["headers"], json.loads(raw["body"]))

    def place(self, *, by: Caller = ANNA, key: str | None = None, **changes: Any) -> ApiResponse:
        """`POST /orders` with a good order, changed as told; its event waits on the bus."""
        return self.call("POST", "/orders", an_order(**changes), by=by, headers={"idempotency-key": key} if key else {})

    def placed(self, **changes: Any) -> tuple[str, Envelope]:
        """Place an order and take its event off the bus: the order's id, and the event."""
        order_id = self.place(**changes).body["orderId"]
        [event] = self.drain()
        return order_id, event

    def order(self, order_id: str, *, by: Caller = ANNA) -> Any:
        response = self.call("GET", f"/orders/{order_id}", by=by)
        assert response.status == 200, response
        return response.body

    def cancel(self, order_id: str, *, by: Caller = ANNA, request_id: str | None = None) -> ApiResponse:
        """`POST /orders/{orderId}/cancellation`; its event waits on the bus."""
        return self.call("POST", f"/orders/{order_id}/cancellation", by=by, request_id=request_id)

    def orders(self, query: Mapping[str, str], *, by: Caller = ANNA) -> ApiResponse:
        return self.call("GET", "/orders?" + "&".join(f"{quote(k)}={quote(v)}" for k, v in query.items()), by=by)

    def trail(self, order_id: str, *, by: Caller = ANNA) -> list[dict[str, Any]]:
        response = self.call("GET", f"/orders/{order_id}/events", by=by)
        assert response.status == 200, response
        return list(response.body["events"])

    # --- the order feed -------------------------------------------------------------------------------------------

    def ticket(self, order_id: str, *, by: Caller = ANNA, origin: str | None = None) -> ApiResponse:
        """`POST /orders/{orderId}/ticket`, from a page of this origin, or from no browser."""
        return self.call("POST", f"/orders/{order_id}/ticket", by=by, headers={"origin": origin})

    def connect(self, ticket: str | None, connection_id: str, *, origin: str | None = None) -> int:
        """Open a WebSocket; the status, 200 where it opens."""
        event = {
            "requestContext": {"routeKey": "$connect", "connectionId": connection_id},
            "headers": {"Origin": origin} if origin else {},
            "queryStringParameters": {"ticket": ticket} if ticket is not None else None,
        }
        return int(self.invoke("orderFeed", event)["statusCode"])

    def disconnect(self, connection_id: str) -> None:
        """API Gateway says that a WebSocket is closed."""
        self.invoke("orderFeed", {"requestContext": {"routeKey": "$disconnect", "connectionId": connection_id}})

    def watching(self) -> set[str]:
        """The connections that are stored."""
        items = self._dynamodb.scan(TableName=FEED)["Items"]
        return {item["id"]["S"] for item in items if "orderId" in item}

    def sent_to(self, connection_id: str) -> list[Any]:
        """The messages that a page got, oldest first."""
        calls = self.wire.of("execute-api:PostToConnection")
        return [json.loads(call.params["Data"]) for call in calls if call.params["ConnectionId"] == connection_id]

    # --- the bus --------------------------------------------------------------------------------------------------

    @property
    def published(self) -> list[Envelope]:
        """Every event that the bus took, oldest first."""
        return [
            envelope(entry["DetailType"], entry["Source"], json.loads(entry["Detail"]), event_id=result["EventId"])
            for call in self.wire.of("events:PutEvents")
            for entry, result in zip(call.params["Entries"], (call.answer or {"Entries": []})["Entries"], strict=False)
            if "EventId" in result
        ]

    def events(self, detail_type: str) -> list[Envelope]:
        return [event for event in self.published if event["detail-type"] == detail_type]

    def drain(self) -> list[Envelope]:
        """The events that were published since the last time."""
        new = self.published[self._seen :]
        self._seen += len(new)
        return new

    def run(self) -> None:
        """Deliver each event to each function that a rule leads it to, and what they publish, until all is quiet."""
        while True:
            self._waiting += [(function, event) for event in self.drain() for function in matching.consumers(event)]
            if not self._waiting:
                return
            self.deliver(*self._waiting.popleft())

    def deliver(self, function: str, event: Envelope) -> None:
        """One delivery. Raises what the function raises: NotTold for Notification, which gives the message back."""
        if function != "notification":
            self.invoke(function, event)
        elif self.notify({"m1": event}):
            raise NotTold

    def notify(self, messages: Mapping[str, Any]) -> list[str]:
        """One batch from NotificationQueue, a message's id → its body; the ids of those that it gave back."""
        records = [
            {"messageId": name, "body": body if isinstance(body, str) else json.dumps(body)}
            for name, body in messages.items()
        ]
        return [
            failed["itemIdentifier"]
            for failed in self.invoke("notification", {"Records": records})["batchItemFailures"]
        ]

    def reconcile(self, context: Context | None = None) -> None:
        self.invoke("reconciler", {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}, context)

    def invoke(self, function: str, event: Mapping[str, Any], context: Context | None = None) -> Any:
        module = import_module(topology.handler(function))
        with self.wire.called_by(function):
            return module.handler(event, context or Context())

    # --- what is stored and sent ----------------------------------------------------------------------------------

    def item(self, order_id: str) -> dict[str, Any]:
        """The order as the table has it."""
        return from_item(self._dynamodb.get_item(TableName=ORDERS, Key=to_item({"orderId": order_id}))["Item"])

    def store(self, item: Mapping[str, Any]) -> None:
        """Put an order into the table, past all code."""
        self._dynamodb.put_item(TableName=ORDERS, Item=to_item(item))

    def log(self, entry: Mapping[str, Any]) -> None:
        """Put an entry into the audit log, past all code."""
        self._dynamodb.put_item(TableName=AUDIT_LOG, Item=to_item(entry))

    def forget_ledger(self) -> None:
        """Empty the payment provider's ledger, as it was before there was one."""
        for key in self.ledger:
            self._dynamodb.delete_item(TableName=LEDGER, Key=to_item({"idempotencyKey": key}))

    def change(self, order_id: str, **changes: Any) -> None:
        self.store({name: value for name, value in {**self.item(order_id), **changes}.items() if value is not None})

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All tables: to see that nothing changed."""
        return {
            table: sorted(map(from_item, self._dynamodb.scan(TableName=table)["Items"]), key=str)
            for table in (ORDERS, AUDIT_LOG, LEDGER)
        }

    def log_entries(self) -> list[dict[str, Any]]:
        return self.everything()[AUDIT_LOG]

    @property
    def ledger(self) -> dict[str, dict[str, Any]]:
        """The payment provider's ledger, by idempotency key."""
        return {row["idempotencyKey"]: row for row in self.everything()[LEDGER]}

    @property
    def emails(self) -> list[Mapping[str, Any]]:
        """What SES took, as the call has it."""
        return [call.params for call in self.wire.of("ses:SendEmail") if call.answer]

    @property
    def texts(self) -> list[Mapping[str, Any]]:
        """What SNS took for a phone."""
        return [call.params for call in self.wire.of("sns:Publish") if call.answer]


def envelope(detail_type: str, source: str, detail: Any, *, event_id: str | None = None, **more: Any) -> Envelope:
    """An event as its targets get it now; `more`: other fields of the envelope, such as `replay-name`."""
    now = datetime.now(UTC).isoformat()
    made = operations.envelope.envelope(
        detail_type, source, detail, event_id=event_id or str(uuid4()), timestamp=now, account="123456789012"
    )
    return {**made, **more}


def changed(event: Envelope, path: str, value: Any) -> Envelope:
    """A copy of the event with another value at a dotted path; `...` takes the field away."""
    copy: Envelope = json.loads(json.dumps(event))
    *parents, name = path.split(".")
    place: Any = copy
    for parent in parents:
        place = place[parent]
    if value is ...:
        del place[name]
    else:
        place[name] = value
    return copy

"""The path of one approved order through all functions: the event of each, and what the tables hold when it arrives."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from operations.envelope import envelope
from tools import flow, topology
from verification.bench.stub import Stub

FUNCTIONS = {name: topology.handler(name) for name in topology.functions()}
"""Each function's module; its handler has the name `handler`."""

NAIVE = {"orderService": "naive.order_service", "paymentProcessing": "naive.payment_processing"}

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    **topology.environment({"OrdersTable": "Orders", "AuditLogTable": "AuditLog", "EventBus": "bench"}),
}

LAMBDA = {
    "LAMBDA_TASK_ROOT": "/var/task",
    "_X_AMZN_TRACE_ID": "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0",
}
"""As Lambda has it for the tracer, which takes no samples here."""

Invoke = Callable[[str, Any], Any]


class Stop(NamedTuple):
    """A function, the event that it gets, and the tables as they are then."""

    function: str
    event: Any
    stub: Stub


def request(order_key: str) -> dict[str, Any]:
    """`POST /orders` of one line, as API Gateway hands it over (payload format 2.0)."""
    body = {"items": [{"sku": "MUG", "quantity": 2}], "paymentMethod": "tok_visa"}
    claims = {"sub": "anna", "email": "anna@example.com", "email_verified": "true", "token_use": "id"}
    return {
        "version": "2.0",
        "routeKey": "POST /orders",
        "rawPath": "/orders",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "idempotency-key": order_key},
        "requestContext": {
            "authorizer": {"jwt": {"claims": claims, "scopes": None}},
            "http": {"method": "POST", "path": "/orders", "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"},
            "requestId": str(uuid4()),
            "stage": "$default",
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def travel(stub: Stub, invoke: Invoke, key: str) -> Iterator[tuple[str, Any]]:
    """Yields each function and its event, then calls the function and delivers what it published."""
    waiting: deque[tuple[str, Any]] = deque([("orderService", request(key))])
    while waiting:
        function, event = waiting.popleft()
        yield function, event
        before = len(stub.published)
        invoke(function, event)
        for entry in stub.published[before:]:
            envelope = envelope_of(entry)
            waiting += [(each, _input(each, envelope)) for each in flow.consumers()[entry["DetailType"]]]


def stops(stub: Stub, invoke: Invoke) -> dict[str, Stop]:
    """Each function's first event; the reconciler finds nothing due."""
    found: dict[str, Stop] = {}
    for function, event in travel(stub, invoke, "first"):
        found.setdefault(function, Stop(function, event, stub.copy()))
    found["reconciler"] = Stop("reconciler", {"detail-type": "Scheduled Event", "detail": {}}, stub.copy())
    return found


def envelope_of(entry: Mapping[str, Any], event_id: str | None = None) -> dict[str, Any]:
    """An entry of PutEvents as EventBridge delivers it."""
    return envelope(
        entry["DetailType"],
        entry["Source"],
        json.loads(entry["Detail"]),
        event_id=event_id or str(uuid4()),
        timestamp="2026-01-31T09:30:00Z",
    )


def _input(function: str, envelope: Mapping[str, Any]) -> Any:
    if topology.trigger(function) != "queue":
        return envelope
    record = {"messageId": envelope["id"], "body": json.dumps(envelope), "receiptHandle": "r", "attributes": {}}
    return {"Records": [record]}

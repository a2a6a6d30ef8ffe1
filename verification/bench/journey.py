"""The path of an order through the handlers, in this process, by the routes, rules and queues of serverless.yml."""

import io
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock
from uuid import uuid4

from operations.loopback import HOST
from tools import flow, topology
from verification.bench.stub import Call, Stub, published, server

FUNCTIONS = {name: topology.handler(name) for name in topology.always_deployed()}
"""Each function's module; its handler has the name `handler`."""
WITH_STOREFRONT = {name: topology.handler(name) for name in topology.functions()}
"""The same, with the functions that come with the storefront."""
NAIVE = {"orderService": "naive.order_service", "paymentProcessing": "naive.payment_processing"}

ENVIRONMENT = {
    **dict.fromkeys(("no_proxy", "NO_PROXY"), HOST),
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    # As Lambda has them for the tracer, which takes no samples here.
    "LAMBDA_TASK_ROOT": "/var/task",
    "_X_AMZN_TRACE_ID": "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0",
    **topology.environment(
        {
            "OrdersTable": "Orders",
            "AuditLogTable": "AuditLog",
            "GatewayLedgerTable": "GatewayLedger",
            "FeedTable": "Feed",
            "EventBus": "bench",
            "WebsocketsApi": "bench",
        }
    ),
}


def environment(url: str) -> dict[str, str]:
    """The functions' variables, with AWS at this URL, the WebSocket API included."""
    return {**ENVIRONMENT, "AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": url}


CUSTOMER = {
    "sub": "5f3b6a0e-7c1d-4a52-9d0b-2f8f0c6f1a77",
    "email": "anna.schmidt@example.com",
    "email_verified": "true",
    "token_use": "id",
}
ORDER = {"items": [{"sku": "MUG", "quantity": 2}], "paymentMethod": "tok_visa"}
SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
"""The event that invokes the reconciler."""

Watch = Callable[[str, Any], None]
"""Called before each invocation, with its function and event."""


class Invocation(NamedTuple):
    function: str
    response: Any
    calls: Sequence[Call]
    log: str
    cpu_ns: int
    """Processor time of the handler's thread; the stub has another."""


class Functions:
    """The handlers. `stub` is their AWS."""

    def __init__(self, handlers: Mapping[str, Callable[[Any, Any], Any]], log: io.StringIO) -> None:
        self._handlers = handlers
        self._log = log
        self._consumers = flow.consumers()
        self.stub = server().stub = Stub()

    def invoke(self, function: str, event: Any, *, may_fail: bool = False) -> Invocation:
        """Call a function as Lambda does.

        Raises RuntimeError if it refused the request, unless it may, or a message of its queue.
        """
        context = SimpleNamespace(
            aws_request_id=str(uuid4()),
            function_name="bench",
            function_version="$LATEST",
            invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:bench",
            memory_limit_in_mb=512,
            get_remaining_time_in_millis=lambda: 120_000,
        )
        calls, logged = len(self.stub.calls), self._log.tell()
        with redirect_stdout(self._log):
            since = time.thread_time_ns()
            response = self._handlers[function](event, context)
            cpu_ns = time.thread_time_ns() - since
        refused = not may_fail and response and response.get("statusCode", 200) >= 400
        if refused or (response and response.get("batchItemFailures")):
            raise RuntimeError(f"{function}: {response}")
        self._log.seek(logged)
        return Invocation(function, response, self.stub.calls[calls:], self._log.read(), cpu_ns)

    def follow(
        self, function: str, event: Any, watch: Watch | None = None, *, may_fail: bool = False
    ) -> list[Invocation]:
        """Invoke a function, then each that its events reach, in the order of the events, until nothing is left."""
        done: list[Invocation] = []
        waiting = deque([(function, event)])
        while waiting:
            if watch:
                watch(*waiting[0])
            done.append(self.invoke(*waiting.popleft(), may_fail=may_fail))
            for envelope in published(done[-1].calls):
                waiting += self.deliveries(envelope)
        return done

    def order(self, *, key: str | None = None, watch: Watch | None = None, **changes: Any) -> list[Invocation]:
        """An order, with these changes to its body, from its request to the end of the last function."""
        event = request("POST /orders", body={**ORDER, **changes}, key=key or str(uuid4()))
        return self.follow("orderService", event, watch)

    def deliveries(self, envelope: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """The functions that consume an event, each with the event that it gets."""
        consumers = [name for name in self._consumers[envelope["detail-type"]] if name in self._handlers]
        message = {"messageId": envelope["id"], "body": json.dumps(envelope), "receiptHandle": "r", "attributes": {}}
        return [(name, {"Records": [message]} if topology.trigger(name) == "queue" else envelope) for name in consumers]


@contextmanager
def functions(modules: Mapping[str, str] = FUNCTIONS) -> Iterator[Functions]:
    """The handlers of these modules, on an empty stub; what they print and log is kept with each invocation."""
    log = io.StringIO()
    with mock.patch.dict(os.environ, environment(server().url)):
        handlers = {name: import_module(module).handler for name, module in modules.items()}
        [logger] = logging.getLogger(ENVIRONMENT["POWERTOOLS_SERVICE_NAME"]).handlers
        assert isinstance(logger, logging.StreamHandler)
        before = logger.setStream(log)
        try:
            yield Functions(handlers, log)
        finally:
            logger.setStream(before or logger.stream)


def socket_request(route: str, *, ticket: str = "") -> Any:
    """`$connect` or `$disconnect`, as API Gateway sends it."""
    event = {"requestContext": {"routeKey": route, "connectionId": "IZ5tdfpJoAMCJrw="}}  # as long as API Gateway's
    return {**event, "headers": {}, "queryStringParameters": {"ticket": ticket}} if ticket else event


def request(route: str, *, body: Any = None, key: str = "", query: Mapping[str, str] | None = None, **path: str) -> Any:
    """A request as API Gateway passes it (payload format 2.0), of a customer with a verified address."""
    method, _, pattern = route.partition(" ")
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": pattern.format(**path),
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **({"idempotency-key": key} if key else {})},
        "queryStringParameters": dict(query or {}),
        "pathParameters": path,
        "requestContext": {
            "authorizer": {"jwt": {"claims": CUSTOMER, "scopes": None}},
            "http": {"method": method, "path": pattern.format(**path), "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"},
            "requestId": uuid4().hex[:15] + "=",  # as long as API Gateway's: an order keeps it
            "stage": "$default",
        },
        "body": json.dumps(body) if body else None,
        "isBase64Encoded": False,
    }

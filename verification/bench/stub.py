"""AWS as a stub on this machine that responds at once: DynamoDB on the simulator's tables, success for all else.

It keeps each call with the units that DynamoDB bills for it. Times against it are the function's own side of a call.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, NamedTuple
from uuid import uuid4

from botocore.exceptions import ClientError

from operations.envelope import envelope
from operations.loopback import HOST
from tools import topology
from verification.bench import units
from verification.bench.units import Usage
from verification.expressions import Bound
from verification.tables import Table

TABLES = {
    "Orders": "OrdersTable",
    "AuditLog": "AuditLogTable",
    "GatewayLedger": "GatewayLedgerTable",
    "Feed": "FeedTable",
}
"""Name → logical id."""
_SERVICES = {"DynamoDB_20120810": "dynamodb", "AWSEvents": "events"}
"""By the name that X-Amz-Target has for them."""
# Their ids are as long as AWS's: an order keeps them.
_SENT = b'{"MessageId": "0100019300000000-00000000-0000-4000-8000-000000000000-000000"}'
_PUBLISHED = (
    b"<PublishResponse><PublishResult><MessageId>00000000-0000-4000-8000-000000000000</MessageId></PublishResult>"
    b"</PublishResponse>"
)


PROVIDERS_TABLE = "GatewayLedger"
"""The payment provider's own table: its calls are not ours."""


class Call(NamedTuple):
    """One request of a function's SDK, and the response; of e-mails and text messages, only the action."""

    action: str
    """As IAM writes it: `dynamodb:PutItem`."""
    request: Mapping[str, Any]
    status: int
    response: Mapping[str, Any]
    usage: Usage
    message: bytes = b""
    """The message that was sent through a WebSocket."""

    @property
    def is_provider_s(self) -> bool:
        """Whether the simulated payment provider made the call: a real provider's ledger is not in our account."""
        return bool(self.request.get("TableName") == PROVIDERS_TABLE)


def published(calls: Iterable[Call]) -> Iterator[dict[str, Any]]:
    """The events that the calls put on the bus, as their targets get them."""
    for call in calls:
        if call.action == "events:PutEvents":
            for entry, taken in zip(call.request["Entries"], call.response["Entries"], strict=True):
                yield envelope(
                    entry["DetailType"],
                    entry["Source"],
                    json.loads(entry["Detail"]),
                    event_id=taken["EventId"],
                    timestamp="2026-01-31T09:30:00Z",
                )


class Stub:
    """Empty tables at first, and no calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._declared = {name: topology.of_type("AWS::DynamoDB::Table")[id_] for name, id_ in TABLES.items()}
        self.tables = {name: Table(name, each, lambda: 0.0, self._wrote) for name, each in self._declared.items()}
        self._naive: dict[str, Any] = {}
        """The items of the naive handlers, by key: they have tables of their own."""
        self._usage = Usage()

    def respond(self, target: str, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body for a request; `target` is X-Amz-Target, which only AWS's JSON protocols have."""
        if path.startswith("/@connections/"):
            self.calls.append(Call("execute-api:PostToConnection", {}, 200, {}, Usage(), body))
            return 200, b""
        if not target:
            action, content = ("ses:SendEmail", _SENT) if path.startswith("/v2/email/") else ("sns:Publish", _PUBLISHED)
            self.calls.append(Call(action, {}, 200, {}, Usage()))
            return 200, content
        service, _, operation = target.partition(".")
        request, self._usage = json.loads(body), Usage()
        try:
            status, response = 200, getattr(self, operation)(request)
        except ClientError as error:
            status, response = 400, {"__type": error.response["Error"]["Code"], **error.response}
            if table := self.tables.get(request.get("TableName")):
                self._usage = units.refused(table.get(request.get("Item") or request["Key"]))
        self.calls.append(Call(f"{_SERVICES[service]}:{operation}", request, status, response, self._usage))
        return status, json.dumps(response).encode()

    def _wrote(self, table: str, before: Any, after: Any) -> None:
        self._usage = units.written(self._declared[table], before, after)

    # --- operations, by the names that AWS gives them -----------------------------------------------------------------

    def PutEvents(self, request: Mapping[str, Any]) -> Any:
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(uuid4())} for _ in request["Entries"]]}

    def PutItem(self, request: Mapping[str, Any]) -> Any:
        if table := self.tables.get(request["TableName"]):
            table.put(request["Item"], _condition(request), _bound(request), return_old=_old(request))
        else:
            self._naive[json.dumps(request["Item"].get("orderId"))] = request["Item"]
        return {}

    def UpdateItem(self, request: Mapping[str, Any]) -> Any:
        if not (table := self.tables.get(request["TableName"])):
            return {"Attributes": {}}
        expressions = request["UpdateExpression"], request["ConditionExpression"]
        before = table.get(request["Key"])
        after = table.update(request["Key"], *expressions, _bound(request), return_old=_old(request))
        return {"Attributes": before or {} if request.get("ReturnValues") == "ALL_OLD" else after}

    def DeleteItem(self, request: Mapping[str, Any]) -> Any:
        name = request["TableName"]
        before = self.tables[name].delete(
            request["Key"], _condition(request), _bound(request), return_old=_old(request)
        )
        self._usage = units.written(self._declared[name], before, None)
        return {"Attributes": before} if before and request.get("ReturnValues") == "ALL_OLD" else {}

    def GetItem(self, request: Mapping[str, Any]) -> Any:
        table = self.tables.get(request["TableName"])
        item = table.get(request["Key"]) if table else self._naive.get(json.dumps(request["Key"].get("orderId")))
        self._usage = units.read([item] if item else [], consistent=request.get("ConsistentRead", False))
        return {"Item": item} if item else {}

    def BatchGetItem(self, request: Mapping[str, Any]) -> Any:
        [(name, wanted)] = request["RequestItems"].items()
        items = [item for key in wanted["Keys"] if (item := self.tables[name].get(key))]
        self._usage = units.total(units.read([item], consistent=wanted.get("ConsistentRead", False)) for item in items)
        return {"Responses": {name: items}, "UnprocessedKeys": {}}

    def Query(self, request: Mapping[str, Any]) -> Any:
        page = self.tables[request["TableName"]].query(
            request["IndexName"],
            request["KeyConditionExpression"],
            _bound(request),
            lag=lambda _: 0.0,
            forward=request.get("ScanIndexForward", True),
            limit=request.get("Limit"),
            start=request.get("ExclusiveStartKey"),
        )
        self._usage = units.read(page.items, consistent=False)
        found = {} if request.get("Select") == "COUNT" else {"Items": page.items}
        return {"Count": len(page.items), **found, **({"LastEvaluatedKey": page.last} if page.last else {})}


def _bound(request: Mapping[str, Any]) -> Bound:
    return Bound(request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {}))


def _condition(request: Mapping[str, Any]) -> str:
    """Empty where a write has none."""
    return str(request.get("ConditionExpression", ""))


def _old(request: Mapping[str, Any]) -> bool:
    return request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"


class StubServer(ThreadingHTTPServer):
    """The current stub over HTTP, for as long as the process lives; `stub` may be replaced by another."""

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.stub = Stub()
        self.url = f"http://{HOST}:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: StubServer
    one_at_a_time = Lock()  # the stub's usage is that of the last request
    protocol_version = "HTTP/1.1"  # the SDK keeps its connection
    wbufsize = -1  # head and body in one packet

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.one_at_a_time:
            status, content = self.server.stub.respond(self.headers.get("x-amz-target", ""), self.path, body)
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """No access log."""


@cache
def server() -> StubServer:
    """This process's server: the functions keep their clients, and these keep its address."""
    found = StubServer()
    Thread(target=found.serve_forever, daemon=True).start()
    return found

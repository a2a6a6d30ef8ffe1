"""AWS as a stub that responds at once: DynamoDB on the simulator's tables, and success for everything else.

What is measured against it is our side of a call: to make it, and to read the answer.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from tools import topology
from verification.expressions import Bound
from verification.tables import Table

TABLES = {"Orders": "OrdersTable", "AuditLog": "AuditLogTable"}
_SNS = "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>"


class Stub:
    """`published`: the entries of PutEvents so far, as the code put them."""

    def __init__(self) -> None:
        shapes = topology.of_type("AWS::DynamoDB::Table")
        self.tables = {name: Table(name, shapes[shape], lambda: 0.0, lambda *_: None) for name, shape in TABLES.items()}
        self.others: dict[str, Any] = {}
        """What the naive handlers put, by key: they have tables of their own."""
        self.published: list[Mapping[str, Any]] = []

    def copy(self) -> "Stub":
        other = Stub()
        for name, table in self.tables.items():
            for item in table.items.values():
                other.tables[name].put(item, "attribute_not_exists(nothing)", Bound({}, {}), return_old=False)
        other.others = copy.deepcopy(self.others)
        return other

    def answer(self, target: str, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body for a request; `target` is X-Amz-Target, which only AWS's JSON protocols have."""
        if not target:
            return 200, (b'{"MessageId": "m"}' if path.startswith("/v2/email") else _SNS.encode())
        asked = json.loads(body)
        try:
            return 200, json.dumps(getattr(self, target.partition(".")[2])(asked)).encode()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            return 400, json.dumps({"__type": code, "message": code}).encode()

    # --- operations, by the names that AWS gives them -----------------------------------------------------------------

    def PutEvents(self, asked: Mapping[str, Any]) -> Any:
        self.published += asked["Entries"]
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(uuid4())} for _ in asked["Entries"]]}

    def PutItem(self, asked: Mapping[str, Any]) -> Any:
        if table := self.tables.get(asked["TableName"]):
            table.put(asked["Item"], asked["ConditionExpression"], _bound(asked), return_old=False)
        else:
            self.others[json.dumps(asked["Item"].get("orderId"))] = asked["Item"]
        return {}

    def GetItem(self, asked: Mapping[str, Any]) -> Any:
        table = self.tables.get(asked["TableName"])
        item = table.get(asked["Key"]) if table else self.others.get(json.dumps(asked["Key"].get("orderId")))
        return {"Item": item} if item else {}

    def UpdateItem(self, asked: Mapping[str, Any]) -> Any:
        if not (table := self.tables.get(asked["TableName"])):
            return {"Attributes": {}}
        condition, update = asked["ConditionExpression"], asked["UpdateExpression"]
        after = table.update(asked["Key"], update, condition, _bound(asked), return_old=False)
        return {"Attributes": after} if asked.get("ReturnValues") == "ALL_NEW" else {}

    def Query(self, asked: Mapping[str, Any]) -> Any:
        return {"Items": [], "Count": 0}


def _bound(asked: Mapping[str, Any]) -> Bound:
    return Bound(asked.get("ExpressionAttributeNames", {}), asked.get("ExpressionAttributeValues", {}))


class StubServer:
    """Stubs over HTTP, one after the other: `stub` is the current one."""

    def __init__(self) -> None:
        self.stub = Stub()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer = outer.stub.answer(self.headers.get("x-amz-target", ""), self.path, body)
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """No access log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving() -> Iterator[StubServer]:
    server = StubServer()
    Thread(target=server.server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()

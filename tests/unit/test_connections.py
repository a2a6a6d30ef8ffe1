"""Between two invocations Lambda freezes the process, and the connections that it keeps open may die meanwhile."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import boto3
import pytest

from handlers.wiring import store
from orders.aws.client import client
from orders.aws.notifier import SesSnsNotifier
from orders.message import Message
from tests.shop import Shop

MESSAGE = Message("subject", "text", "<p>html</p>", "sms")


class _SES(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # it keeps connections open
    callers: ClassVar[list[tuple[str, int]]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.callers.append(self.client_address)
        body = json.dumps({"MessageId": "1"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def notifier(monkeypatch: pytest.MonkeyPatch) -> Iterator[SesSnsNotifier]:
    """Mails through SES's own client to a server on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _SES)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _SES.callers.clear()
    ses = boto3.session.Session().client("sesv2", endpoint_url=f"http://127.0.0.1:{server.server_port}")
    yield SesSnsNotifier(ses, partial(client, "sns"), "orders@example.com", sms_prefixes=())
    ses.close()
    server.shutdown()
    server.server_close()


def test_the_messages_of_one_invocation_share_a_connection_and_those_of_the_next_have_a_new_one(
    shop: Shop, notifier: SesSnsNotifier
) -> None:
    order_id, _ = shop.placed()
    order = store().get(order_id)
    for _ in range(2):
        notifier.reconnect()
        for _ in range(2):
            notifier.send("email", order, MESSAGE)

    first, second, third, fourth = _SES.callers
    assert first == second
    assert third == fourth
    assert first != third

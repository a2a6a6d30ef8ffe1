"""A proxy between the deployed functions and the embedded AWS that records each call, and changes nothing."""

import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from operations.loopback import HOST
from operations.stack import Stack
from tools import topology

TURN_TIMEOUT_SECONDS = 1.5
"""The SDK's own timeout is two seconds."""
_CALLER = re.compile(r"app/(\w+)-\d+")  # local/emulator/bridge/functions.py has every function say its name
_SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class RecordedCall(NamedTuple):
    """One request of a function's SDK and its answer."""

    function: str
    action: str
    """As IAM writes it: `dynamodb:PutItem`."""
    request: Mapping[str, Any]
    status: int
    answer: Mapping[str, Any]


class Recording:
    """The calls of all functions since the beginning, in the order of their answers."""

    def __init__(self) -> None:
        self.calls: list[RecordedCall] = []
        self.is_due: Callable[[str, str], bool] = lambda function, action: True
        """Whether a function may make this call yet; until then it waits, for `TURN_TIMEOUT_SECONDS` at most."""
        self._changed = Condition()

    def add(self, call: RecordedCall) -> None:
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()

    def wait_for_its_turn(self, function: str, action: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.is_due(function, action), timeout=TURN_TIMEOUT_SECONDS)


@contextmanager
def recording(stack: Stack) -> Iterator[Recording]:
    """Send every function's calls through a proxy while the block runs."""
    record = Recording()
    server = ThreadingHTTPServer((HOST, 0), _handler(record, str(stack.endpoint_url)))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        _configure(stack, f"http://{HOST}:{server.server_port}")
        yield record
        _configure(stack, str(stack.endpoint_url))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _configure(stack: Stack, url: str) -> None:
    for function in topology.functions():
        stack.configure(function, AWS_ENDPOINT_URL=url)


def _handler(record: Recording, upstream: str) -> type[BaseHTTPRequestHandler]:
    address = urlsplit(upstream)

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the SDK keeps its connection
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            caller = _CALLER.search(self.headers.get("User-Agent", ""))
            action, request = _asked(self.headers, self.path, body)
            if caller:
                record.wait_for_its_turn(caller[1], action)
            connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
            try:
                # With the Host that the caller signed: the emulator checks each signature.
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() != "connection":
                        connection.putheader(name, value)
                connection.endheaders(body)
                response = connection.getresponse()
                content = response.read()
            finally:
                connection.close()
            if caller:
                record.add(RecordedCall(caller[1], action, request, response.status, _json(content)))
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_DELETE = do_POST

        def log_message(self, *_: Any) -> None:
            """No access log."""

    return Proxy


def _asked(headers: "Message[str, str]", path: str, body: bytes) -> tuple[str, Mapping[str, Any]]:
    """The action and the parameters of a request, in any of the protocols that the functions' services speak."""
    scope = _SERVICE.search(headers.get("Authorization", ""))
    service = scope[1] if scope else "?"
    if target := headers.get("X-Amz-Target"):
        return f"{service}:{target.rpartition('.')[2]}", _json(body)
    if service == "sns":
        query = dict(parse_qsl(body.decode()))
        return f"sns:{query['Action']}", query
    if path == "/v2/email/outbound-emails":
        return "ses:SendEmail", _json(body)
    return f"{service}:{path}", {}


def _json(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:  # SNS answers XML
        return {}
    return found if isinstance(found, dict) else {}

"""The storefront's server: what it serves, to whom, with which headers; the stack behind it is a stand-in."""

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from local.emulator.ports import free_port
from local.emulator.state import LocalError, State
from local.storefront import break_it
from local.storefront.app import FILES
from local.storefront.forwarding import LARGEST_BODY_BYTES, SIGN_IN
from local.storefront.headers import headers
from local.storefront.serving import served
from tests.unit.dead_letter_queues import GONE, POISON, Queues
from tools import flow

SOCKETS = "ws://127.0.0.1:4566"
JSON = {"content-type": "application/json"}
ONE_EACH = httpx.Limits(max_keepalive_connections=0)  # one that is refused closes its connection
PANEL = ("/break-it/gateway", "/break-it/send-twice", "/break-it/redrive")
GUARDED = (*PANEL, "/cognito", "/sample-customer")
READS = ("/break-it/state", "/break-it/inbox?email=ada@example.com", "/break-it/rescue?orderId=1")


class Upstream(NamedTuple):
    """What the API and Cognito are asked; each request is answered with 201 and what it was."""

    url: str
    asked: list[dict[str, Any]]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append({"method": self.command, "path": self.path, "headers": headers, "body": body})
            self.send_response(201)
            for name, value in (
                ("content-type", "application/json"),
                ("location", "/orders/1"),
                ("idempotency-replayed", "true"),
                ("cache-control", "no-store"),
                ("set-cookie", "of=somebody"),
                ("server", "secret/1.0"),
            ):
                self.send_header(name, value)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield Upstream(f"http://127.0.0.1:{server.server_port}", asked)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> State:
    state = State(tmp_path_factory.mktemp("state"))
    describe(state, upstream.url)
    return state


def describe(state: State, url: str, **more: str) -> None:
    description = {
        "endpointUrl": url,
        "apiUrl": f"{url}/stage",
        "HttpApiUrl": "https://api.example",
        "region": "mars-1",
    }
    connection = {"accessKeyId": "a", "secretAccessKey": "s", "UserPoolClientId": "client"}
    state.stack.write_text(json.dumps({**description, **connection, **more}))


@pytest.fixture(scope="module")
def page(state: State) -> Iterator[httpx.Client]:
    serving = served(state, free_port(), sockets=SOCKETS)
    with serving as url, httpx.Client(base_url=url, limits=ONE_EACH) as client:
        yield client


def origin(page: httpx.Client) -> str:
    return str(page.base_url).rstrip("/")


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/app.js", "/config.json", "/nothing", "/api/products", "/break-it/state"])
def test_every_answer_has_the_headers(page: httpx.Client, method: str, path: str) -> None:
    answer = page.request(method, path, headers={"origin": "http://evil.example"} if "break" in path else {})

    assert answer.headers.items() >= headers(SOCKETS).items()
    assert "server" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


def test_the_policy_allows_nothing_but_this_origin_and_the_websocket() -> None:
    policy = headers(SOCKETS)["content-security-policy"]
    assert {word for part in policy.split("; ") for word in part.split()[1:]} == {"'none'", "'self'", "data:", SOCKETS}
    assert policy.startswith("default-src 'none'")
    assert f"connect-src 'self' {SOCKETS};" in policy
    assert "ws:" not in headers()["content-security-policy"]


@pytest.mark.parametrize("file", [path.relative_to(FILES).as_posix() for path in FILES.rglob("*") if path.is_file()])
def test_each_file_is_served_and_asked_for_again_only_when_it_has_changed(page: httpx.Client, file: str) -> None:
    first = page.get(f"/{file}")
    again = page.get(f"/{file}", headers={"if-none-match": first.headers["etag"]})

    assert (first.status_code, first.content) == (200, (FILES / file).read_bytes())
    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["/../package.json", "/%2e%2e/package.json", "/..%2fpackage.json", "/views/..%2f..%2fpackage.json", "//etc/passwd"],
)
def test_there_is_no_way_out_of_the_folder(page: httpx.Client, path: str) -> None:
    url = page.base_url
    with socket.create_connection((url.host, url.port)) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))

    assert answer.split(b" ", 2)[1] == b"404"
    assert b"order-processing" not in answer


def test_the_configuration_is_that_of_the_running_stack(page: httpx.Client, state: State, upstream: Upstream) -> None:
    expected = {"stage": "local", "region": "mars-1", "apiUrl": "/api", "cognitoUrl": "/cognito", "breakIt": True}
    expected["sampleCustomer"] = None
    assert page.get("/config.json").json() == {**expected, "userPoolClientId": "client", "topology": flow.described()}

    describe(state, upstream.url, UserPoolClientId="another")
    assert page.get("/config.json").json()["userPoolClientId"] == "another"


def test_without_a_stack_it_says_so(tmp_path: Path) -> None:
    with served(State(tmp_path), free_port()) as url:
        answer = httpx.get(f"{url}config.json")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "npm start" in answer.json()["detail"]


# --- what is passed on ------------------------------------------------------------------------------------------------


def test_a_call_of_the_api_is_passed_on_as_it_is_and_so_is_the_answer(page: httpx.Client, upstream: Upstream) -> None:
    page.get("/api/products")  # whose cookie must not be kept for the next
    headers = {"authorization": "Bearer t", "idempotency-key": "k", "cookie": "of=somebody", **JSON}
    answer = page.post("/api/orders?limit=3&x=%2F", content='{"a": 1}', headers=headers)

    asked = upstream.asked[-1]
    assert (asked["method"], asked["path"], asked["body"]) == ("POST", "/stage/orders?limit=3&x=%2F", '{"a": 1}')
    assert asked["headers"].items() >= {"authorization": "Bearer t", "idempotency-key": "k", **JSON}.items()
    assert "cookie" not in asked["headers"]
    assert (answer.status_code, answer.json(), answer.headers["location"]) == (201, {}, "/orders/1")
    assert answer.headers["idempotency-replayed"] == "true"
    assert answer.headers["cache-control"] == "no-store"


def test_no_proxy_of_the_users_hears_of_it(state: State, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    before = len(upstream.asked)
    with served(state, free_port()) as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert client.post("/api/orders", content="{}").status_code == 201
    assert len(upstream.asked) == before + 1


@pytest.mark.parametrize(
    "path",
    [
        "/api/../_ministack/reset",
        "/api/%2e%2e/_ministack/reset",
        "/api/orders/%2E%2E/x",
        "/api/.",
        "/%61pi/x",
        "%2fapi/x",
    ],
)
def test_there_is_no_way_out_of_the_api(page: httpx.Client, upstream: Upstream, path: str) -> None:
    before, url = len(upstream.asked), page.base_url
    with socket.create_connection((url.host, url.port)) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))

    assert answer.split(b" ", 2)[1] == b"404"
    assert len(upstream.asked) == before


def test_a_body_larger_than_the_gateway_takes_is_413(page: httpx.Client) -> None:
    answer = page.post("/api/orders", content=b" " * (LARGEST_BODY_BYTES + 1), headers=JSON)
    assert answer.status_code == 413


def test_an_api_that_is_down_is_502_with_what_to_do(tmp_path: Path) -> None:
    state = State(tmp_path)
    describe(state, f"http://127.0.0.1:{free_port()}")
    with served(state, free_port()) as url:
        answer = httpx.get(f"{url}api/products")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")
    assert "npm start" in answer.json()["detail"]


@pytest.mark.parametrize("path", READS)
def test_a_panel_without_its_aws_is_502_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # nobody will come
    state, nowhere = State(tmp_path), f"http://127.0.0.1:{free_port()}"
    queues = {
        f"{name}QueueUrl": f"{nowhere}/{name}" for name in ("DeadLetter", "NotificationDeadLetter", "Notification")
    }
    describe(state, nowhere, **queues, OrdersTableName="Orders", AuditLogTableName="AuditLog")
    with served(state, free_port()) as url:
        answer = httpx.get(url.rstrip("/") + path, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")
    assert "npm start" in answer.json()["detail"]


def test_what_nobody_foresaw_has_the_headers_and_shows_nothing_of_the_inside(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.stack.write_text("not JSON")
    with served(state, free_port()) as url:
        answer = httpx.get(f"{url}config.json")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers.items() >= headers().items()
    assert "JSONDecodeError" not in answer.text
    assert "JSONDecodeError" in (tmp_path / "storefront.log").read_text()


def sign_in(page: httpx.Client, operation: str, **headers: str) -> httpx.Response:
    kind = {"content-type": "application/x-amz-json-1.1", "origin": origin(page)}
    return page.post("/cognito", content="{}", headers={**kind, "x-amz-target": operation, **headers})


@pytest.mark.parametrize("operation", sorted(SIGN_IN))
def test_a_customer_can_sign_up_and_in(page: httpx.Client, upstream: Upstream, operation: str) -> None:
    answer = sign_in(page, f"AWSCognitoIdentityProviderService.{operation}", authorization="AWS4-HMAC-SHA256 x")

    assert answer.status_code == 201
    assert upstream.asked[-1]["headers"]["x-amz-target"].endswith(operation)
    assert "authorization" not in upstream.asked[-1]["headers"]


@pytest.mark.parametrize(
    "target",
    [
        "AWSCognitoIdentityProviderService.AdminConfirmSignUp",
        "AWSCognitoIdentityProviderService.DeleteUserPool",
        "AWSCognitoIdentityProviderService.",
        "DynamoDB_20120810.SignUp",
        "SignUp",
        "",
    ],
)
def test_nothing_else_can_be_asked_of_cognito(page: httpx.Client, upstream: Upstream, target: str) -> None:
    before = len(upstream.asked)
    assert sign_in(page, target).status_code == 403
    assert len(upstream.asked) == before


# --- the sample customer ----------------------------------------------------------------------------------------------


@pytest.fixture
def ada(state: State) -> Iterator[str]:
    """Her token, as `npm start` keeps it."""
    state.token.write_text("a.token.of-ada")
    yield "a.token.of-ada"
    state.token.unlink()


def test_the_sample_customer_is_named_and_signed_in_as_soon_as_there_is_one(page: httpx.Client, ada: str) -> None:
    assert page.get("/config.json").json()["sampleCustomer"] == {"name": "Ada", "url": "/sample-customer"}

    answer = page.post("/sample-customer", json={}, headers={"origin": origin(page)})
    assert (answer.status_code, answer.json()) == (200, {"idToken": ada})
    assert answer.headers["cache-control"] == "no-store"


def test_without_a_sample_customer_nobody_is_signed_in(page: httpx.Client) -> None:
    assert page.get("/config.json").json()["sampleCustomer"] is None

    answer = page.post("/sample-customer", json={}, headers={"origin": origin(page)})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_the_sample_customer_s_token_is_no_answer_to_a_read(page: httpx.Client, ada: str, method: str) -> None:
    """A page reads without an Origin; only the origin of a POST is always known."""
    answer = page.request(method, "/sample-customer", headers={"origin": origin(page), **JSON})
    assert answer.status_code in (404, 405)
    assert ada not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {},
        {"origin": "http://evil.example:{port}", "host": "evil.example:{port}"},
        {"origin": "{origin}", "sec-fetch-site": "same-site"},
        {"origin": "{origin}", "content-type": "text/plain"},
    ],
    ids=["another origin", "no origin that can be named", "no origin", "another name", "another port", "a form"],
)
def test_another_page_is_never_signed_in_as_the_sample_customer(
    page: httpx.Client, ada: str, headers: dict[str, str]
) -> None:
    known = {"port": str(page.base_url.port), "origin": origin(page)}
    sent = {**JSON, **{name: value.format(**known) for name, value in headers.items()}}
    answer = page.post("/sample-customer", content="{}", headers=sent)
    assert answer.status_code == 403
    assert ada not in answer.text


# --- who may ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
@pytest.mark.parametrize("path", ["/", "/config.json", "/api/products", "/break-it/state", "/sample-customer"])
def test_a_page_that_has_its_own_name_lead_here_gets_nothing(page: httpx.Client, path: str, host: str) -> None:
    """DNS rebinding: the address is ours, the name is not."""
    answer = page.get(path, headers={"host": host.format(port=page.base_url.port)})
    assert (answer.status_code, answer.json()["status"]) == (403, 403)


FOREIGN = {
    "another origin": {"origin": "http://evil.example"},
    "another port": {"origin": "http://127.0.0.1:1"},
    "https": {"origin": "https://127.0.0.1:{port}"},
    "no origin that can be named": {"origin": "null"},
    "another site": {"origin": "{origin}", "sec-fetch-site": "cross-site"},
    "the same site on another port": {"origin": "{origin}", "sec-fetch-site": "same-site"},
}


def foreign(page: httpx.Client, name: str) -> dict[str, str]:
    known = {"port": str(page.base_url.port), "origin": origin(page)}
    return {header: value.format(**known) for header, value in FOREIGN[name].items()}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("path", GUARDED)
def test_another_page_can_change_nothing(page: httpx.Client, upstream: Upstream, path: str, name: str) -> None:
    before = len(upstream.asked)
    target = {"x-amz-target": "AWSCognitoIdentityProviderService.SignUp"}
    assert page.post(path, content="{}", headers={**JSON, **target, **foreign(page, name)}).status_code == 403
    assert len(upstream.asked) == before


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("path", READS)
def test_another_page_can_read_nothing(page: httpx.Client, upstream: Upstream, path: str, name: str) -> None:
    before = len(upstream.asked)
    assert page.get(path, headers=foreign(page, name)).status_code == 403
    assert len(upstream.asked) == before


@pytest.mark.parametrize("path", GUARDED)
def test_who_names_no_origin_can_change_nothing(page: httpx.Client, path: str) -> None:
    assert page.post(path, content="{}", headers=JSON).status_code == 403


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""]
)
@pytest.mark.parametrize("path", GUARDED)
def test_a_form_can_change_nothing(page: httpx.Client, path: str, kind: str) -> None:
    answer = page.post(path, content="{}", headers={"content-type": kind, "origin": origin(page)})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", PANEL)
@pytest.mark.parametrize(("body", "status"), [("", 400), ("[]", 400), ("{", 400), ("[" * 100_000, 400)])
def test_what_is_no_object_is_400(page: httpx.Client, path: str, body: str, status: int) -> None:
    assert page.post(path, content=body, headers={**JSON, "origin": origin(page)}).status_code == status


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/break-it/gateway", {}),
        ("/break-it/gateway", {"state": "sideways"}),
        ("/break-it/gateway", {"state": ["up"]}),
        ("/break-it/send-twice", {"orderId": 1}),
        ("/break-it/send-twice", {"orderId": ""}),
    ],
)
def test_what_names_nothing_to_do_is_422(page: httpx.Client, path: str, body: object) -> None:
    answer = page.post(path, json=body, headers={"origin": origin(page)})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_a_redrive_that_leaves_something_says_what_and_why() -> None:
    queues = Queues()
    queues.put_failure(POISON, GONE)
    queues.put_failure(POISON)

    with pytest.raises(HTTPException, match=r"^502: still a dead letter: Poison for .*-gone: .*NotFound") as refused:
        break_it.redrive_all(queues.stack, Request({"type": "http"}), {})

    assert refused.value.status_code == 502
    assert len(queues.delivered) == 1


@pytest.mark.parametrize("query", ["", "?orderId="])
def test_a_rescue_of_no_order_is_422(page: httpx.Client, query: str) -> None:
    assert page.get(f"/break-it/rescue{query}").status_code == 422


@pytest.mark.parametrize("path", ["/", "/break-it/state", "/api/products"])
def test_nobody_gets_a_websocket(page: httpx.Client, path: str) -> None:
    """A foreign page may open one without asking first."""
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    key = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert page.get(path, headers={**upgrade, **key}).status_code == 403


# --- where ------------------------------------------------------------------------------------------------------------


def test_it_listens_on_this_machine_only(page: httpx.Client) -> None:
    with socket.socket() as probe:
        probe.settimeout(1)
        elsewhere = socket.gethostbyname(socket.gethostname())
        if elsewhere.startswith("127."):
            elsewhere = "127.0.0.2"
        assert probe.connect_ex((elsewhere, page.base_url.port or 0)) != 0


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(LocalError, match=f"^port {port} is in use; use another: npm start -- --port "),
            served(State(tmp_path), port),
        ):
            pass

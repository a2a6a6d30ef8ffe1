"""The table of odd requests, over HTTP; and what only HTTP can say: headers and paths that never reach a function.

A time-out stands for "does not hang and does not blow up"; it is generous, so that a busy machine fails no test.
"""

import socket
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper
from tests.odd_requests import GATEWAY, REFUSED, TAKEN, OddRequest, assert_refused

SOON = 10  # seconds


def send(anna: Shopper, request: OddRequest) -> httpx.Response:
    headers = [(name.encode(), value.encode(errors="surrogateescape")) for name, value in request.headers.items()]
    return anna.http.request(request.method, request.path, content=request.content, headers=headers, timeout=SOON)


@pytest.mark.parametrize("group", REFUSED)
def test_an_odd_request_is_refused_soon_and_shortly(anna: Shopper, subtests: pytest.Subtests, group: str) -> None:
    for request in (request for request in REFUSED[group] if request.sent_by_http):
        with subtests.test(request.name):
            response = send(anna, request)
            assert response.status_code in request.statuses, response.text[:300]
            if response.json().keys() == {"message"}:
                assert GATEWAY in request.over_http
            else:
                assert_refused(request, response.status_code, response.headers, response.json())


def test_an_odd_request_that_is_good_places_an_order(anna: Shopper, subtests: pytest.Subtests) -> None:
    for request in (request for request in TAKEN if request.sent_by_http):
        with subtests.test(request.name):
            response = send(anna, request)
            assert response.status_code == 201, response.text
            assert response.headers["location"] == f"/orders/{response.json()['orderId']}"


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [70_000, 1_000_000])
def test_headers_that_are_too_long_are_the_gateway_s_to_refuse(anna: Shopper, size: int) -> None:
    """On AWS from 10 KB in all; here from 64 KB."""
    assert anna.http.get("/orders", headers={"x-long": "a" * size}, timeout=SOON).status_code == 431


def test_a_thousand_headers_do_no_harm(anna: Shopper) -> None:
    response = anna.http.get("/orders?limit=1", headers={f"x-{n}": "a" for n in range(1_000)}, timeout=SOON)
    assert response.status_code < 500


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: -1",
        "Content-Length: 1e3",
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, chunked",
        "No colon",
        "Bad name: 1",
        ": no name",
        "X-Nul: \x00",
    ],
)
def test_a_request_that_is_no_http_is_the_server_s_to_refuse(cloud: Cloud, lines: str) -> None:
    api = urlsplit(cloud.stack["apiUrl"])
    request = f"POST {api.path}/orders HTTP/1.1\r\nHost: {api.netloc}\r\nConnection: close\r\n{lines}\r\n\r\n0\r\n\r\n"
    with socket.create_connection((api.hostname, api.port), timeout=SOON) as connection:
        connection.sendall(request.encode("latin-1"))
        assert 400 <= int(connection.recv(64).split()[1]) <= 501, "501 is an unknown transfer encoding"


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ["%", "%0", "%zz", "%00", "%ff", "%c0%af", "%u0041", "..%2f..%2f", "%2e%2e%2f%2e%2e"])
def test_a_path_in_broken_percent_code_is_404(anna: Shopper, raw: str) -> None:
    request = anna.http.build_request("GET", "/orders/x", timeout=SOON)
    base = urlsplit(str(anna.http.base_url)).path.rstrip("/")
    request.url = request.url.copy_with(raw_path=f"{base}/orders/{raw}".encode())
    assert anna.http.send(request).status_code in (400, 404)


def test_after_all_that_an_order_is_placed_and_ends_as_ever(anna: Shopper) -> None:
    assert anna.ended_order()["status"] == "FULFILLED"

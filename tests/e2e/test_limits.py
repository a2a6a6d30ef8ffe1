"""Too much, too deep, too long, in the wrong alphabet: a clear 4xx, soon, and never a 5xx.

"Soon" is generous, so that a busy machine fails no test: it stands for "does not hang and does not blow up". Most of
what is in a body is tried in `tests/unit/test_limits.py` as well, faster.
"""

import gzip
import json
import socket
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper, an_order

SOON = 10  # seconds
LARGEST_BODY = 64 * 1024
LONGEST_ANSWER = 8 * 1024
JSON = {"content-type": "application/json"}


def post(anna: Shopper, content: str | bytes, headers: Any = JSON) -> httpx.Response:
    return anna.http.post("/orders", content=content, headers=headers, timeout=SOON)


def refused(answer: httpx.Response, *statuses: int) -> None:
    """A problem with one of the statuses, and a short one."""
    assert answer.status_code in statuses, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert len(answer.content) < LONGEST_ANSWER


# --- size -------------------------------------------------------------------------------------------------------------


def test_a_body_of_64_kib_is_taken(anna: Shopper) -> None:
    assert post(anna, json.dumps(an_order()).ljust(LARGEST_BODY)).status_code == 201


@pytest.mark.parametrize("size", [LARGEST_BODY + 1, 5_000_000, 9_000_000])
def test_a_larger_body_is_413(anna: Shopper, size: int) -> None:
    refused(post(anna, json.dumps(an_order()).ljust(size)), 413)


def test_the_size_counts_in_bytes(anna: Shopper) -> None:
    refused(post(anna, json.dumps(an_order(phone="é" * (LARGEST_BODY // 2)), ensure_ascii=False)), 413)


def test_an_empty_body_is_400(anna: Shopper) -> None:
    refused(post(anna, b""), 400)


# --- counts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 51, 1_500])
def test_too_few_or_too_many_items_are_422(anna: Shopper, count: int) -> None:
    items = [{"sku": "MUG", "quantity": 1}] * count
    answer = post(anna, json.dumps(an_order(items=items)))
    refused(answer, 422)
    assert answer.json()["errors"][0]["loc"] == ["items"]


def test_fifty_items_are_not_too_many(anna: Shopper) -> None:
    """There are fewer articles, so fifty of one are refused for that alone. Fifty different ones: tests/unit."""
    answer = post(anna, json.dumps(an_order(items=[{"sku": "MUG", "quantity": 1}] * 50)))
    refused(answer, 422)
    assert "only once" in answer.json()["errors"][0]["msg"]


@pytest.mark.parametrize("quantity", ["1", "1000"])
def test_quantities_from_1_to_1000_are_taken(anna: Shopper, quantity: str) -> None:
    assert post(anna, with_quantity(quantity)).status_code == 201


NUMBERS = {
    422: ["0", "-0", "-1", "1001", "1e400", "-1e400", "1" + "0" * 40, "1.0", "1.5", "1e0", "2E1", "0.1e1"],
    400: ["01", "+1", "0x10", ".5", "1.", "1_000", "9" * 60_000, "--1", "1e", "١"],
    4: ["NaN", "Infinity", "-Infinity", '"NaN"', '"2"', "true", "null", "[2]", "{}", '"1e400"'],
}


@pytest.mark.parametrize(
    ("status", "number"),
    [(status, number) for status, numbers in NUMBERS.items() for number in numbers],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_quantity_is_refused(anna: Shopper, status: int, number: str) -> None:
    """What looks like a number and is none in JSON: 400 or 422."""
    refused(post(anna, with_quantity(number)), *([400, 422] if status == 4 else [status]))


def with_quantity(number: str) -> str:
    return json.dumps(an_order()).replace('"quantity": 2', f'"quantity": {number}')


# --- shapes -----------------------------------------------------------------------------------------------------------

SHAPES: dict[str, tuple[int, str]] = {
    "100,000 levels, more than the limit": (413, "[" * 100_000),
    "60,000 levels": (400, "[" * 60_000),
    "30,000 levels, closed": (400, "[" * 30_000 + "]" * 30_000),
    "5,000 objects in objects": (400, '{"items":' * 5_000 + "1" + "}" * 5_000),
    "100 levels": (422, '{"items": ' + "[" * 100 + "]" * 100 + "}"),
    "100,000 keys, more than the limit": (413, json.dumps({f"key-{n}": 1 for n in range(100_000)})),
    "5,000 keys": (422, json.dumps({f"k{n}": 1 for n in range(5_000)})),
    "5,000 keys in an item": (422, json.dumps({"items": [{f"k{n}": 1 for n in range(5_000)}]})),
    "a key of 60 KB": (422, json.dumps(an_order(**{"k" * 60_000: 1}))),
    "a value of 60 KB": (422, json.dumps(an_order(paymentMethod="v" * 60_000))),
    "a telephone number of 60 KB": (422, json.dumps(an_order(phone="+" + "4" * 60_000))),
    "20,000 empty items": (422, json.dumps({"items": [{}] * 20_000}, separators=(",", ":"))),
    "no object": (422, "[]"),
    "null": (422, "null"),
    "a number": (422, "1"),
    "a text": (422, '"order"'),
    "__proto__": (422, json.dumps(an_order(__proto__={"phone": "+1"}))),
    "__class__": (422, json.dumps(an_order(__class__="Order"))),
    "snake_case": (422, json.dumps({"items": [{"sku": "MUG", "quantity": 1}], "payment_method": "tok_visa"})),
    "two documents": (400, json.dumps(an_order()) * 2),
    "a comment": (400, json.dumps(an_order()) + " // cheap"),
    "a comma more": (400, json.dumps(an_order())[:-1] + ",}"),
    "single quotes": (400, json.dumps(an_order()).replace('"', "'")),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_body_of_another_shape_is_refused(anna: Shopper, shape: str) -> None:
    status, body = SHAPES[shape]
    refused(post(anna, body), status)


def test_a_key_that_stands_there_twice_is_400_and_named(anna: Shopper) -> None:
    answer = post(anna, json.dumps(an_order()).replace('"quantity": 2', '"quantity": 2, "quantity": 2'))
    refused(answer, 400)
    assert '"quantity"' in answer.json()["detail"]


# --- alphabets --------------------------------------------------------------------------------------------------------

TEXTS = {
    "NUL": "MUG\x00",
    "control characters": "\x01\x1b[2J\x7f",
    "right to left": "\u202eGUM\u202c",
    "zero width": "M\u200bUG",
    "emoji": "☕😀👩‍👩‍👧",
    "combining": "Z̷̢̛a̸l̵g̶o̵" * 20,
    "full width": "ＭＵＧ",
    "Cyrillic": "МUG",
    "beyond the BMP": "𝕄𝕌𝔾",
    "no character": "\uffff\ufffe",
    "line ends": "MUG\r\nX-Injected: 1",
    "SQL": "'; DROP TABLE orders; --",
    "a template": "{{7*7}}${7*7}%s",
    "HTML": "<script>alert(1)</script>",
    "JNDI": "${jndi:ldap://127.0.0.1/a}",
    "a path": "../../etc/passwd",
}


def anywhere(text: str) -> dict[str, Any]:
    """Bodies with the text in each field, and as a field."""
    return {
        "sku": an_order(items=[{"sku": text, "quantity": 1}]),
        "quantity": an_order(items=[{"sku": "MUG", "quantity": text}]),
        "paymentMethod": an_order(paymentMethod=text),
        "phone": an_order(phone=text),
        "phone's end": an_order(phone="+4915112345678" + text),
        "a field": an_order(**{text: text}),
        "a field of an item": an_order(items=[{"sku": "MUG", "quantity": 1, text: text}]),
    }


@pytest.mark.parametrize("escaped", [False, True], ids=["as it is", "escaped"])
@pytest.mark.parametrize("name", TEXTS)
def test_other_alphabets_are_refused_in_every_field(anna: Shopper, name: str, escaped: bool) -> None:
    """As they are, a control character is no JSON (400); escaped, it is no article, number or method (422)."""
    for field, body in anywhere(TEXTS[name]).items():
        answer = post(anna, json.dumps(body, ensure_ascii=escaped))
        assert answer.status_code == 422, (field, answer.text[:300])
        refused(answer, 422)


@pytest.mark.parametrize("lone", ["\\ud800", "\\udc00", "\\ud800x", "\\udc00\\ud800", "\\ud83d"])
def test_half_a_character_is_400_in_every_field(anna: Shopper, lone: str) -> None:
    for body in anywhere("HALF").values():
        refused(post(anna, json.dumps(body).replace("HALF", lone)), 400)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp037"])
@pytest.mark.parametrize("charset", ["", "; charset={}"])
def test_a_body_that_is_not_utf_8_is_400(anna: Shopper, encoding: str, charset: str) -> None:
    headers = {"content-type": "application/json" + charset.format(encoding)}
    refused(post(anna, json.dumps(an_order()).encode(encoding), headers), 400)


@pytest.mark.parametrize("raw", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"], ids=str)
def test_bytes_that_are_no_text_are_refused(anna: Shopper, raw: bytes) -> None:
    """400; or 422 where the gateway has put a replacement character in their place."""
    refused(post(anna, json.dumps(an_order()).encode().replace(b"MUG", b"M" + raw)), 400, 422)
    refused(post(anna, raw * 40), 400)


def test_a_compressed_body_is_not_unpacked(anna: Shopper) -> None:
    small, bomb = (gzip.compress(text.encode()) for text in (json.dumps(an_order()), " " * 50_000_000))
    for body in (small, bomb):
        refused(post(anna, body), 400)
        for encoding in ("gzip", "br", "identity"):
            refused(post(anna, body, {**JSON, "content-encoding": encoding}), 415)


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [b"k", b"k" * 255, b"a key, with blanks", b"!~"], ids=lambda key: key[:20].decode())
def test_a_good_idempotency_key_is_taken_twice(anna: Shopper, key: bytes) -> None:
    answers = [post(anna, json.dumps(an_order()), {**JSON, "idempotency-key": key.decode()}) for _ in range(2)]
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert len({answer.json()["orderId"] for answer in answers}) == 1


@pytest.mark.parametrize(
    "key", [b"", b"k" * 256, b"k" * 60_000, b"a\tb", b"a\x7f", "é".encode(), b"\xe9", "😀".encode(), "\u202e".encode()]
)
def test_a_bad_idempotency_key_is_400(anna: Shopper, key: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"idempotency-key", key)]
    answer = post(anna, json.dumps(an_order()), headers)
    refused(answer, 400)
    assert answer.json()["type"] == "urn:order-processing:problem:bad-idempotency-key"


@pytest.mark.parametrize("form", ["application/json", "Application/JSON", "application/json;charset=utf-8"])
def test_json_is_taken_however_it_is_spelled(anna: Shopper, form: str) -> None:
    assert post(anna, json.dumps(an_order()), {"content-type": form}).status_code == 201


@pytest.mark.parametrize(
    "form",
    [
        "",
        "*/*",
        "json",
        "text/json",
        "text/plain",
        "application/jsonx",
        "application/json+x",
        "application/vnd.api+json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json, text/plain",
        "text/plain; application/json",
        "application/xml",
        "x" * 5_000,
    ],
    ids=lambda form: str(form)[:40],
)
def test_another_content_type_is_415(anna: Shopper, form: str) -> None:
    refused(post(anna, json.dumps(an_order()), {"content-type": form}), 415)


@pytest.mark.parametrize("size", [70_000, 1_000_000])
def test_headers_that_are_too_long_are_the_gateway_s_to_refuse(anna: Shopper, size: int) -> None:
    """On AWS from 10 KB in all; here from 64 KB."""
    assert anna.http.get("/orders", headers={"x-long": "a" * size}, timeout=SOON).status_code == 431


def test_a_thousand_headers_do_no_harm(anna: Shopper) -> None:
    answer = anna.http.get("/orders?limit=1", headers={f"x-{n}": "a" for n in range(1_000)}, timeout=SOON)
    assert answer.status_code < 500


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


# --- paths and queries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a" * 8_000, "a" * 60_000, "-" * 36, "0" * 36, *TEXTS.values()], ids=lambda t: t[:12])
def test_an_id_that_is_none_is_404(anna: Shopper, text: str) -> None:
    for path in (f"/orders/{quote(text, safe='')}", f"/orders/{quote(text, safe='')}/events"):
        answer = anna.http.get(path, timeout=SOON)
        assert answer.status_code == 404, answer.text
        assert len(answer.content) < LONGEST_ANSWER


@pytest.mark.parametrize("raw", ["%", "%0", "%zz", "%00", "%ff", "%c0%af", "%u0041", "..%2f..%2f", "%2e%2e%2f%2e%2e"])
def test_a_path_in_broken_percent_code_is_404(anna: Shopper, raw: str) -> None:
    request = anna.http.build_request("GET", "/orders/x", timeout=SOON)
    base = urlsplit(str(anna.http.base_url)).path.rstrip("/")
    request.url = request.url.copy_with(raw_path=f"{base}/orders/{raw}".encode())
    assert anna.http.send(request).status_code in (400, 404)


QUERIES = [
    *(f"limit={limit}" for limit in ("", "0", "-1", "101", "1.0", "1e1", "01", "+1", "%20" + "1", "1%00", "%ff", "٣")),
    "limit=" + "9" * 50_000,
    "limit=1&limit=2",
    "Limit=1",
    "limit[]=1",
    *(f"nextToken={token}" for token in ("", "A", "AAAA", "e30=", "W10=", "bnVsbA==", "%00", "%ff", "%F0%9F%98%80")),
    "nextToken=" + "A" * 50_000,
    "nextToken=" + "W1tb" * 10_000,  # [[[[…, in base64
    "&".join(f"k{n}=1" for n in range(5_000)),
    "k" * 50_000 + "=1",
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: str(query)[:30])
def test_a_query_that_the_list_does_not_know_is_422(anna: Shopper, query: str) -> None:
    refused(anna.http.get(f"/orders?{query}", timeout=SOON), 422)


def test_after_all_that_an_order_is_placed_and_ends_as_ever(anna: Shopper) -> None:
    assert anna.ended_order()["status"] == "FULFILLED"

"""Odd requests, and what the API says to each: one table, through two drivers.

`tests/unit/test_odd_requests.py` sends them to the handler, `tests/e2e/test_odd_requests.py` over HTTP to the deployed
stack. A refused one gets a problem of the API's, soon and short; a taken one places an order.
"""

import gzip
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from itertools import islice, product
from string import ascii_letters
from typing import Any, NamedTuple
from urllib.parse import quote

from handlers.http import LARGEST_BODY, LONGEST_NAME
from handlers.responses import PROBLEMS
from tests.shop import an_order

AT, ORDER_ID = "2026-01-31T09:30:00.123Z", "00000000-0000-4000-8000-000000000000"
GATEWAY = "the gateway's own"
"""In place of a problem: the gateway may refuse the request before the function sees it, with its own message."""


class OddRequest(NamedTuple):
    """One request; `problem` is a name of PROBLEMS, or empty where an order is placed."""

    name: str
    problem: str
    method: str = "POST"
    path: str = "/orders"
    body: str | bytes | None = None
    """A text may have halves of surrogate pairs, which UTF-8 can't say."""
    headers: Mapping[str, str] = {"content-type": "application/json"}
    """A character from U+DC80 to U+DCFF stands for one byte that is not UTF-8."""
    loc: list[str | int] | None = None
    """A place that `errors` names."""
    detail: str = ""
    """A part of the problem's `detail`."""
    over_http: tuple[str, ...] = ()
    """Other names that HTTP may lead to, since the gateway repairs, decodes or refuses what it gets."""
    sent_by_http: bool = True
    """False where no HTTP client can send it, or the gateway normalizes it."""

    @property
    def statuses(self) -> set[int]:
        """Statuses that HTTP may lead to."""
        if not self.problem:
            return {201}
        return {404 if name == GATEWAY else PROBLEMS[name] for name in (self.problem, *self.over_http)}

    @property
    def content(self) -> bytes | None:
        """The body as HTTP sends it."""
        return self.body.encode(errors="surrogatepass") if isinstance(self.body, str) else self.body


def order(**changes: Any) -> str:
    return json.dumps(an_order(**changes))


def line(**changes: Any) -> str:
    return order(items=[{"sku": "MUG", "quantity": 2, **changes}])


def with_quantity(number: str) -> str:
    """An order whose quantity is written so."""
    return order().replace('"quantity": 2', f'"quantity": {number}')


def short(value: object) -> str:
    return repr(value)[:60]


# --- not JSON, or too much of it --------------------------------------------------------------------------------------


def _not_json() -> Iterator[OddRequest]:
    yield OddRequest("no body", "not-json")
    for body in ("", "{", "items=MUG", '{"items": [}', "\ud800", '{"items": 1, "items": 1'):
        yield OddRequest(short(body), "not-json", body=body)
    for name, body in {
        "two documents": order() * 2,
        "a comment": order() + " // cheap",
        "a comma more": order()[:-1] + ",}",
        "single quotes": order().replace('"', "'"),
        "10,000 levels": "[" * 10_000,
        "60,000 levels": "[" * 60_000,
        "30,000 levels, closed": "[" * 30_000 + "]" * 30_000,
        "5,000 objects in objects": '{"items":' * 5_000,
        "5,000 objects in objects, closed": '{"items":' * 5_000 + "1" + "}" * 5_000,
    }.items():
        yield OddRequest(name, "not-json", body=body)
    for number in ("01", "+1", "0x1", "0x10", ".5", "1.", "1_0", "1_000", "9" * 60_000, "--1", "1e", "١"):
        yield OddRequest(f"quantity {short(number)}", "not-json", body=with_quantity(number))
    for lone in ("\\ud800", "\\udc00", "\\ud800x", "\\udc00\\ud800", "\\ud83d"):
        for field, document in in_each_field("HALF").items():
            yield OddRequest(f"{lone} in {field}", "not-json", body=json.dumps(document).replace("HALF", lone))
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp037"):
        for charset in ("", f"; charset={encoding}"):
            headers = {"content-type": f"application/json{charset}"}
            yield OddRequest(f"{encoding}{charset}", "not-json", body=order().encode(encoding), headers=headers)
    yield OddRequest("bytes in a name", "not-json", body=b'{"items": "\xff"}', over_http=("validation-failed",))
    for raw in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"):
        named = order().encode().replace(b"MUG", b"M" + raw)
        # The gateway may put a replacement character in their place.
        yield OddRequest(f"{raw!r} in a SKU", "not-json", body=named, over_http=("validation-failed",))
        yield OddRequest(f"{raw!r} alone", "not-json", body=raw * 40)


def _repeated_keys() -> Iterator[OddRequest]:
    """A parser that keeps the first of the two, in front of us, would see another order."""
    for written, twice, key in (
        ('"paymentMethod"', '"paymentMethod": "tok_declined", "paymentMethod"', "paymentMethod"),
        ('"paymentMethod"', '"paymentMetho\\u0064": "tok_visa", "paymentMethod"', "paymentMethod"),
        ('"quantity"', '"quantity": 2, "quantity"', "quantity"),
        ('"quantity"', '"quantity": "none", "quantity"', "quantity"),
        ('"items"', '"unknown": {"here": [{"a": 1, "a": NaN}]}, "items"', "a"),
        ('"items"', f'"{"k" * 5000}": 1, "{"k" * 5000}": 1, "items"', "k" * LONGEST_NAME),
        ('"items"', '"ü\\"\\n": 1, "\\u00fc\\"\\n": 1, "items"', 'ü\\"\\n'),
    ):
        detail = f'the key "{key}" is repeated; send it once'
        yield OddRequest(short(twice), "repeated-key", body=order().replace(written, twice), detail=detail)


def _idempotency_keys() -> Iterator[OddRequest]:
    for key in ("", "ä", "a\tb", "k" * 256, "k" * 60_000, "\x7f", "a\x7f", "é", "\udce9", "😀", "\u202e", "a\n"):
        headers = {"content-type": "application/json", "idempotency-key": key}
        yield OddRequest(
            short(key),
            "bad-idempotency-key",
            body=order(),
            headers=headers,
            detail="Idempotency-Key",
            sent_by_http="\n" not in key,
        )


def _too_large() -> Iterator[OddRequest]:
    for size in (LARGEST_BODY + 1, 5_000_000, 9_000_000):
        yield OddRequest(f"{size} bytes", "body-too-large", body=order().ljust(size))
    yield OddRequest("in bytes, in base64", "body-too-large", body=order().ljust(LARGEST_BODY + 1).encode())
    yield OddRequest("ä counts twice", "body-too-large", body="ä" * (LARGEST_BODY // 2 + 1))
    phone = json.dumps(an_order(phone="é" * (LARGEST_BODY // 2)), ensure_ascii=False)
    yield OddRequest("é counts twice in an order", "body-too-large", body=phone)
    yield OddRequest("100,000 levels", "body-too-large", body="[" * 100_000)
    yield OddRequest("100,000 keys", "body-too-large", body=json.dumps({f"key-{n}": 1 for n in range(100_000)}))


def _media_types() -> Iterator[OddRequest]:
    yield OddRequest("no content type", "unsupported-media-type", body=order(), headers={})
    for form in (
        *("", "*/*", "json", "text/json", "text/plain", "application/xml", "x" * 5_000),
        *("application/jsonp", "application/jsonx", "application/json+x", "application/vnd.api+json"),
        *("application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x"),
        *("application/json, text/plain", "text/plain; application/json"),
    ):
        yield OddRequest(short(form), "unsupported-media-type", body=order(), headers={"content-type": form})
    bodies: dict[str, str | bytes] = {
        "plain": order(),
        "compressed": gzip.compress(order().encode()),
        "a bomb": gzip.compress(b" " * 10_000_000),
    }
    for name, body in bodies.items():
        for encoding in ("gzip", "br", "identity", "", "x" * 5000):
            headers = {"content-type": "application/json", "content-encoding": encoding}
            named = f"{name}, said to be {short(encoding)}"
            yield OddRequest(named, "unsupported-media-type", body=body, headers=headers, detail="uncompressed")
        if isinstance(body, bytes):
            yield OddRequest(f"{name}, not said to be", "not-json", body=body)


# --- JSON, but no order -----------------------------------------------------------------------------------------------


def invalid(name: str, body: str, *loc: str | int, detail: str = "") -> OddRequest:
    """A body that the model does not accept, at one place at least."""
    return OddRequest(name, "validation-failed", body=body, loc=list(loc), detail=detail)


def _no_orders() -> Iterator[OddRequest]:
    for body in ("[]", '"text"', "null", "1"):
        yield invalid(body, body, detail="not valid: the body")
    yield invalid("nothing", "{}", "items")
    yield invalid("no payment method", '{"items": [{"sku": "MUG", "quantity": 1}]}', "paymentMethod")
    snake_case = {"items": [{"sku": "MUG", "quantity": 1}], "payment_method": "tok_visa"}
    yield invalid("snake_case", json.dumps(snake_case), "paymentMethod")
    for name in ("totalAmount", "customerId", "payment_method", "__proto__", "__class__", "colour"):
        yield invalid(f"field {name}", order(**{name: 1}), name, detail="not valid: unknown field")
    yield invalid("100 levels", '{"items": ' + "[" * 100 + "]" * 100 + "}", "items", 0)
    for method in ("tok_amex", "gold", "", None, ["tok_visa"], "v" * 60_000):
        yield invalid(f"payment method {short(method)}", order(paymentMethod=method), "paymentMethod")
    for phone in (
        *("015112345678", "+0151", "+49 151", "+1234567890123456", "+4915112345678\n", "+٤٩١٥١"),
        *("", "1", "110", 4915112345678, "+" + "4" * 60_000),
    ):
        yield invalid(f"phone {short(phone)}", order(phone=phone), "phone")


def _items() -> Iterator[OddRequest]:
    no_items: tuple[Any, ...] = (None, {}, [])
    for items in no_items:
        yield invalid(f"items {items}", order(items=items), "items")
    for count in (51, 1_500):
        yield invalid(f"{count} items", order(items=[{"sku": "MUG", "quantity": 1}] * count), "items")
    for count in (2, 50):
        yield invalid(f"{count} of one SKU", order(items=[{"sku": "MUG", "quantity": 1}] * count), "items")
    yield invalid("an item that is a number", order(items=[1]), "items", 0)
    yield invalid("no quantity", order(items=[{"sku": "MUG"}]), "items", 0, "quantity")
    yield invalid("no SKU", order(items=[{"quantity": 1}]), "items", 0, "sku")
    quantities: tuple[Any, ...] = (
        "2",
        "NaN",
        "1e400",
        True,
        None,
        [2],
        {},
        1.5,
        2.0,
        0,
        -1,
        1001,
        10**400,
        float("nan"),
    )
    for quantity in quantities:
        place = ("items", 0, "quantity")
        yield invalid(f"quantity {short(quantity)}", line(quantity=quantity), *place, detail="items.0.quantity")
    for number in (
        *("1e400", "-1e400", "1" + "0" * 40, "-0", "0", "-1", "1001", "1.0", "1.5", "1e0", "1E2", "2E1", "0.1e1"),
        *("NaN", "Infinity", "-Infinity"),  # pydantic reads these three as numbers
    ):
        yield invalid(f"quantity written {number[:20]}", with_quantity(number), "items", 0, "quantity")
    for sku in ("TEAPOT", "mug", 1, "k" * 60_000):
        yield invalid(f"SKU {short(sku)}", line(sku=sku), "items", 0, "sku")
    yield invalid("a price", line(unitPrice=1), "items", 0, "unitPrice")


MANY = ["".join(letters) for letters in islice(product(ascii_letters, repeat=3), LARGEST_BODY // 8 - 4)]
"""As many names of three letters as a body can have."""


def _much_that_is_wrong() -> Iterator[OddRequest]:
    for name, body in {
        "as many keys as fit": dict.fromkeys(MANY, 1),
        "as many keys as fit into an item": {"items": [dict.fromkeys(MANY, 1)]},
        "50 items of 60 keys": {"items": [dict.fromkeys(MANY[:60], 1)] * 50},
        "50 empty items": {"items": [{}] * 50},
        "20,000 empty items": {"items": [{}] * 20_000},
        "50 items with two faults": {"items": [{"sku": "x", "quantity": 0}] * 50},
        "a key of 60 KB": {"k" * 60_000: 1},
    }.items():
        yield OddRequest(name, "validation-failed", body=json.dumps(body, separators=(",", ":")))


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


def in_each_field(text: str) -> dict[str, dict[str, Any]]:
    """Bodies with the text in each field, and as a field's name."""
    return {
        "sku": an_order(items=[{"sku": text, "quantity": 1}]),
        "quantity": an_order(items=[{"sku": "MUG", "quantity": text}]),
        "paymentMethod": an_order(paymentMethod=text),
        "phone": an_order(phone=text),
        "phone's end": an_order(phone="+4915112345678" + text),
        "a field": an_order(**{text: text}),
        "a field of an item": an_order(items=[{"sku": "MUG", "quantity": 1, text: text}]),
    }


def _alphabets() -> Iterator[OddRequest]:
    for name, text in TEXTS.items():
        for field, body in in_each_field(text).items():
            yield OddRequest(f"{name} in {field}", "validation-failed", body=json.dumps(body, ensure_ascii=False))
            yield OddRequest(f"{name}, escaped, in {field}", "validation-failed", body=json.dumps(body))


# --- paths and queries ------------------------------------------------------------------------------------------------


def _order_ids() -> Iterator[OddRequest]:
    for text in ("1", " ", "a" * 36, "-" * 36, "0" * 36, "x" * 3000, "a" * 8_000, "a" * 60_000, *TEXTS.values()):
        for tail in ("", "/events"):
            path = f"/orders/{quote(text, safe='')}{tail}"
            yield OddRequest(short(text + tail), "order-not-found", "GET", path, over_http=(GATEWAY,))


def token(value: object) -> str:
    """A `nextToken` with any content, encoded as the list's own."""
    return urlsafe_b64encode(json.dumps(value).encode()).decode()


def _queries() -> Iterator[OddRequest]:
    limits = (
        *("", "0", "-1", "101", "1000", "ten", "1.0", "1e1", " 1", " 5", "+1", "+5", "01", "05", "٣", "٥", "5,5"),
        *("1\0", "\udcff", "9" * 5000, "9" * 50_000),
    )
    tokens = (
        *("", "A", "AAAA", "mine", "garbage", "=", "ä", "\0", "\udcff", "😀", "A" * 50_000, "W1tb" * 10_000),  # [[[[…
        *map(token, (None, [], {}, "text")),
        *map(token, (["anna", AT], ["anna", AT, ORDER_ID, 1], ["anna", AT, ""], ["anna", AT, None])),
        *map(token, (["anna", AT, {"S": ORDER_ID}], ["anna", AT, "\ud800"], ["anna", AT, "x" * 2049])),
        *map(token, (["anna", "x" * 1025, ORDER_ID], ["anna", "", ORDER_ID], ["anna", None, ORDER_ID])),
        token(["bela", AT, ORDER_ID]),
        urlsafe_b64encode(b"\xff\xfe").decode(),
        urlsafe_b64encode(b"[" * 5000).decode(),
    )
    for name, values in {"limit": limits, "nextToken": tokens}.items():
        for value in values:
            query = f"{name}={quote(value, safe='', errors='surrogateescape')}"
            yield OddRequest(query[:60], "validation-failed", "GET", f"/orders?{query}", loc=[name])
    yield OddRequest("limit twice", "validation-failed", "GET", "/orders?limit=1&limit=2", loc=["limit"])
    for name in ("Limit", "limit[]", "next", "customerId", "offset", "page", "k" * (LONGEST_NAME + 1), "k" * 50_000):
        loc: list[str | int] = [name[:LONGEST_NAME]]
        yield OddRequest(short(name), "validation-failed", "GET", f"/orders?{name}=1", loc=loc)
    many = "&".join(f"k{n}=1" for n in range(5_000))
    yield OddRequest("5,000 parameters", "validation-failed", "GET", f"/orders?{many}")


# --- odd, but good ----------------------------------------------------------------------------------------------------


def _taken() -> Iterator[OddRequest]:
    yield OddRequest("64 KiB", "", body=order().ljust(LARGEST_BODY))
    yield OddRequest("in bytes", "", body=order().encode())
    yield OddRequest("quantity 1", "", body=with_quantity("1"))
    yield OddRequest("quantity 1000", "", body=with_quantity("1000"))
    yield OddRequest("phone null", "", body=order(phone=None))
    lines = [{"sku": "MUG", "quantity": 1}, {"sku": "KETTLE", "quantity": 1}]
    yield OddRequest("the same key in two objects", "", body=order(items=lines))
    for form in ("application/json", "Application/JSON", "application/json;charset=utf-8"):
        yield OddRequest(form, "", body=order(), headers={"content-type": form})
    for key in (" ", "~", "!~", "k", "k" * 255, "a key, with blanks", '{"json": 1}'):
        headers = {"content-type": "application/json", "idempotency-key": key}
        yield OddRequest(f"key {short(key)}", "", body=order(), headers=headers, sent_by_http=key != " ")


REFUSED: Mapping[str, tuple[OddRequest, ...]] = {
    "what is not JSON": tuple(_not_json()),
    "a repeated key": tuple(_repeated_keys()),
    "a bad Idempotency-Key": tuple(_idempotency_keys()),
    "a body that is too large": tuple(_too_large()),
    "another media type": tuple(_media_types()),
    "a body that is no order": tuple(_no_orders()),
    "odd items": tuple(_items()),
    "much that is wrong": tuple(_much_that_is_wrong()),
    "other alphabets": tuple(_alphabets()),
    "an order id that is none": tuple(_order_ids()),
    "a query that the list does not know": tuple(_queries()),
}
"""Group → requests that the API refuses, without a call of AWS."""
TAKEN: tuple[OddRequest, ...] = tuple(_taken())
"""Requests that place an order."""


def assert_refused(request: OddRequest, status: int, headers: Mapping[str, str], body: Any) -> None:
    """The response is the request's problem as RFC 9457 and the contract have it, and a short one."""
    name = body["type"].rpartition(":")[2]
    assert name in (request.problem, *request.over_http), body
    assert status == body["status"] == PROBLEMS[name]
    assert headers["content-type"] == "application/problem+json"
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert body["title"]
    assert len(json.dumps(body)) < 8 * 1024
    errors = body.get("errors", [])
    assert (1 <= len(errors) <= 20) if name == "validation-failed" else "errors" not in body
    assert all(error.keys() == {"loc", "msg"} and error["msg"] for error in errors)
    if name == request.problem:
        assert request.detail in body["detail"]
        assert body["detail"]
        assert request.loc is None or request.loc in [error["loc"] for error in errors], errors

"""What is too much is refused with a clear 4xx and a short answer. Over HTTP: tests/e2e/test_limits.py."""

import json
from itertools import islice, product
from string import ascii_letters

import pytest

from handlers.http import LARGEST_BODY, LONGEST_NAME, LONGEST_REPORT
from tests.conftest import Lines
from tests.shop import Shop, an_order

MANY = ["".join(letters) for letters in islice(product(ascii_letters, repeat=3), LARGEST_BODY // 8 - 4)]
"""As many names of three letters as a body can have."""
LARGEST_ANSWER = 8 * 1024
LARGEST_LINE = 4 * 1024


@pytest.mark.parametrize(
    "body",
    [
        dict.fromkeys(MANY, 1),
        {"items": [dict.fromkeys(MANY, 1)]},
        {"items": [dict.fromkeys(MANY[:60], 1)] * 50},
        {"items": [{}] * 50},
        {"items": [{}] * 20_000},
        {"items": [{"sku": "x", "quantity": 0}] * 50},
        {"k" * 60_000: 1},
        {"items": [{"sku": "k" * 60_000, "quantity": 1}]},
        {"paymentMethod": "k" * 60_000},
    ],
    ids=lambda body: json.dumps(body)[:30],
)
def test_a_body_with_much_that_is_wrong_gets_a_short_answer_and_a_short_line_in_the_log(
    shop: Shop, log_lines: Lines, body: object
) -> None:
    # when
    answer = shop.call("POST", "/orders", json.dumps(body, separators=(",", ":")))

    # then
    assert answer.status == 422
    assert len(json.dumps(answer.body)) < LARGEST_ANSWER
    assert len(json.dumps(log_lines())) < LARGEST_LINE
    assert 1 <= len(answer.body["errors"]) <= LONGEST_REPORT


def test_a_report_tells_the_first_errors_and_shortens_long_names(shop: Shop) -> None:
    body = an_order(**{"k" * LONGEST_NAME: 1, "l" * (LONGEST_NAME + 1): 1})
    errors = shop.call("POST", "/orders", body).body["errors"]
    assert [error["loc"] for error in errors] == [["k" * LONGEST_NAME], ["l" * LONGEST_NAME]]


def test_a_report_has_twenty_errors_and_a_name_a_hundred_characters_at_most(shop: Shop) -> None:
    answer = shop.call("POST", "/orders", an_order(**{f"{number:0200}": 1 for number in range(30)}))
    assert {len(error["loc"][0]) for error in answer.body["errors"]} == {100}
    assert len(answer.body["errors"]) == 20


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (an_order(items=[{"sku": "MUG", "quantity": 0}]), "not valid: items.0.quantity"),
        (an_order(colour="red"), "not valid: unknown field"),
        ([], "not valid: the body"),
    ],
)
def test_a_refusal_says_in_a_sentence_where_the_fault_is(shop: Shop, body: object, detail: str) -> None:
    assert shop.call("POST", "/orders", json.dumps(body)).body["detail"] == detail


def test_a_long_name_in_the_query_is_shortened(shop: Shop) -> None:
    answer = shop.call("GET", f"/orders?{'k' * (LONGEST_NAME + 1)}=1")
    assert (answer.status, answer.body["errors"][0]["loc"]) == (422, ["k" * LONGEST_NAME])


@pytest.mark.parametrize("quantity", ["1e400", "-1e400", "1" + "0" * 40, "-0", "0", "-1", "1001", "1.0", "1e0", "1E2"])
def test_a_number_that_is_no_quantity_is_422(shop: Shop, quantity: str) -> None:
    body = json.dumps(an_order()).replace('"quantity": 2', f'"quantity": {quantity}')
    answer = shop.call("POST", "/orders", body)
    assert (answer.status, answer.body["errors"][0]["loc"]) == (422, ["items", 0, "quantity"])


@pytest.mark.parametrize("quantity", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_in_json_is_422_though_pydantic_reads_it(shop: Shop, quantity: str) -> None:
    body = json.dumps(an_order()).replace('"quantity": 2', f'"quantity": {quantity}')
    assert shop.call("POST", "/orders", body).status == 422


@pytest.mark.parametrize("quantity", ["01", "+1", "0x1", "1_0", "9" * 60_000, "١"])
def test_a_number_that_is_not_json_is_400(shop: Shop, quantity: str) -> None:
    body = json.dumps(an_order()).replace('"quantity": 2', f'"quantity": {quantity}')
    assert shop.call("POST", "/orders", body).status == 400


@pytest.mark.parametrize("body", ["[" * 60_000, "[" * 30_000 + "]" * 30_000, '{"items":' * 5_000])
def test_a_body_nested_too_deeply_is_400(shop: Shop, body: str) -> None:
    assert shop.call("POST", "/orders", body).status == 400


@pytest.mark.parametrize(
    ("written", "twice", "key"),
    [
        ('"paymentMethod"', '"paymentMethod": "tok_declined", "paymentMethod"', "paymentMethod"),
        ('"paymentMethod"', '"paymentMetho\\u0064": "tok_visa", "paymentMethod"', "paymentMethod"),
        ('"quantity"', '"quantity": 2, "quantity"', "quantity"),
        ('"quantity"', '"quantity": "none", "quantity"', "quantity"),
        ('"items"', '"unknown": {"here": [{"a": 1, "a": NaN}]}, "items"', "a"),
        ('"items"', f'"{"k" * 5000}": 1, "{"k" * 5000}": 1, "items"', "k" * LONGEST_NAME),
        ('"items"', '"ü\\"\\n": 1, "\\u00fc\\"\\n": 1, "items"', 'ü\\"\\n'),
    ],
    ids=lambda value: value[:60],
)
def test_a_key_that_stands_there_twice_is_400_and_named_and_not_logged(
    shop: Shop, log_lines: Lines, written: str, twice: str, key: str
) -> None:
    """Whoever looks at the body before us, and takes the first of the two, would see another order."""
    answer = shop.call("POST", "/orders", json.dumps(an_order()).replace(written, twice))
    assert (answer.status, answer.body["type"]) == (400, "urn:order-processing:problem:repeated-key")
    assert answer.body["detail"] == f'the key "{key}" is repeated; name it once'
    assert [line["message"] for line in log_lines()] == ["Refused: a key of the body is repeated"]
    assert shop.wire.calls == []


def test_the_same_key_in_two_objects_is_no_repetition(shop: Shop) -> None:
    lines = [{"sku": "MUG", "quantity": 1}, {"sku": "KETTLE", "quantity": 1}]
    assert shop.call("POST", "/orders", an_order(items=lines)).status == 201


def test_a_key_twice_in_what_is_no_json_is_no_json(shop: Shop) -> None:
    answer = shop.call("POST", "/orders", '{"items": 1, "items": 1')
    assert (answer.status, answer.body["type"]) == (400, "urn:order-processing:problem:not-json")

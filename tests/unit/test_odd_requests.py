"""The table of odd requests, sent to the handler. Over HTTP: tests/e2e/test_odd_requests.py."""

import json

import pytest

from handlers.http import LONGEST_NAME
from tests.conftest import Lines
from tests.odd_requests import REFUSED, TAKEN, OddRequest, assert_refused
from tests.shop import ApiResponse, Shop, an_order

LONGEST_LINE = 4 * 1024
"""Of the log, in characters."""


def send(shop: Shop, request: OddRequest) -> ApiResponse:
    headers = {"content-type": None, **request.headers}
    return shop.call(request.method, request.path, request.body, headers=headers)


@pytest.mark.parametrize("group", REFUSED)
def test_an_odd_request_is_refused_without_a_call_of_aws_and_with_a_short_line_in_the_log(
    shop: Shop, log_lines: Lines, subtests: pytest.Subtests, group: str
) -> None:
    for number, request in enumerate(REFUSED[group], start=1):
        with subtests.test(request.name):
            response = send(shop, request)
            assert_refused(request._replace(over_http=()), response.status, response.headers, response.body)
            assert shop.wire.calls == []
            assert len(log_lines()) == number
            assert len(json.dumps(log_lines()[-1])) < LONGEST_LINE


def test_an_odd_request_that_is_good_places_an_order(shop: Shop, subtests: pytest.Subtests) -> None:
    for number, request in enumerate(TAKEN, start=1):
        with subtests.test(request.name):
            assert send(shop, request).status == 201
            assert len(shop.published) == number


def test_a_repeated_key_is_not_logged(shop: Shop, log_lines: Lines) -> None:
    shop.call("POST", "/orders", '{"secret": 1, "secret": 1}')
    assert [line["message"] for line in log_lines()] == ["Refused: a key of the body is repeated"]


def test_a_report_tells_the_first_errors_and_shortens_long_names(shop: Shop) -> None:
    body = an_order(**{"k" * LONGEST_NAME: 1, "l" * (LONGEST_NAME + 1): 1})
    errors = shop.call("POST", "/orders", body).body["errors"]
    assert [error["loc"] for error in errors] == [["k" * LONGEST_NAME], ["l" * LONGEST_NAME]]


def test_a_report_has_twenty_errors_and_a_name_a_hundred_characters_at_most(shop: Shop) -> None:
    response = shop.call("POST", "/orders", an_order(**{f"{number:0200}": 1 for number in range(30)}))
    assert {len(error["loc"][0]) for error in response.body["errors"]} == {100}
    assert len(response.body["errors"]) == 20

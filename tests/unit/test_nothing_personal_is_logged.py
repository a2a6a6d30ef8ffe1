"""No log line has an e-mail address, a phone number or a word that a client chose in it, whatever goes wrong.

The same on the deployed system, and in its queues, archive and audit log: `tests/e2e/test_nothing_personal_leaks.py`.
"""

import json

import pytest

from tests.conftest import Lines
from tests.shop import ANNA, Envelope, NotTold, Shop, an_order

PHONE = "+4915112345678"
MARKER = "awaited-of-marker"


@pytest.fixture
def outcome(shop: Shop) -> Envelope:
    """The event that ends an order with a phone number; only the message is missing."""
    _, placed = shop.placed(paymentMethod="tok_declined", phone=PHONE)
    shop.deliver("paymentProcessing", placed)
    [failed] = shop.drain()
    return failed


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("ses:SendEmail", "MessageRejected"),
        ("ses:SendEmail", "TooManyRequestsException"),
        ("ses:SendEmail", "AccessDeniedException"),
        ("sns:Publish", "InvalidParameter"),
        ("sns:Publish", "AuthorizationError"),
    ],
)
def test_what_ses_and_sns_say_of_an_address_is_not_logged(
    shop: Shop, outcome: Envelope, log_lines: Lines, metrics: Lines, action: str, code: str
) -> None:
    """In the sandbox SES names the recipient's identity as the resource that is denied; SNS names the number."""
    # given
    names_it = f"not authorized to perform {action} on resource identity/{ANNA.email}, {PHONE}"
    shop.wire.fail(action, code, message=names_it)

    # when
    try:
        shop.deliver("notification", outcome)
    except NotTold:
        assert code not in ("MessageRejected", "InvalidParameter")

    # then
    log = json.dumps([log_lines(), metrics()])
    assert code in log
    assert ANNA.email not in log
    assert PHONE not in log


@pytest.mark.parametrize("damage", [{"status": None}, {"email": 1}, {"phone": [PHONE]}, {"totalAmount": "28"}], ids=str)
@pytest.mark.parametrize("function", ["paymentProcessing", "notification"])
def test_an_order_that_can_not_be_read_is_not_quoted(
    shop: Shop, outcome: Envelope, log_lines: Lines, function: str, damage: dict[str, object]
) -> None:
    # given
    order_id = str(outcome["detail"]["data"]["orderId"])
    shop.change(order_id, **damage)
    event = outcome if function == "notification" else shop.published[0]

    # when
    with pytest.raises(Exception):  # noqa: B017, PT011
        shop.deliver(function, event)

    # then
    log = json.dumps(log_lines())
    assert order_id in log
    assert ANNA.email not in log
    assert PHONE not in log


@pytest.mark.parametrize(
    "body",
    [
        an_order(paymentMethod=MARKER),
        an_order(phone=MARKER),
        an_order(items=[{"sku": MARKER, "quantity": 1}]),
        an_order(items=[{"sku": "MUG", "quantity": MARKER}]),
        an_order(items=[{"sku": "MUG", "quantity": 1, MARKER: 1}]),
        an_order(**{MARKER: MARKER}),
        MARKER,
        [MARKER],
        '{"items": "' + MARKER,
    ],
    ids=lambda body: str(body)[:60],
)
def test_a_refused_body_is_not_quoted_in_the_log(shop: Shop, log_lines: Lines, body: object) -> None:
    assert shop.call("POST", "/orders", body).status in (400, 422)
    [line] = log_lines()
    assert line["message"].startswith("Refused: ")
    assert MARKER not in json.dumps(line)


@pytest.mark.parametrize("query", [f"{MARKER}=1", f"limit={MARKER}", f"nextToken={MARKER}"])
def test_a_refused_query_is_not_quoted_in_the_log(shop: Shop, log_lines: Lines, query: str) -> None:
    assert shop.call("GET", f"/orders?{query}").status == 422
    assert MARKER not in json.dumps(log_lines())


def test_the_idempotency_key_is_not_logged(shop: Shop, log_lines: Lines, metrics: Lines) -> None:
    assert shop.place(key=MARKER).status == 201
    assert shop.place(key=MARKER, paymentMethod="tok_declined").status == 422
    assert shop.call("POST", "/orders", an_order(), headers={"idempotency-key": MARKER + "é"}).status == 400
    assert (len(log_lines()), len(counted := metrics())) == (2, 1)
    assert MARKER not in json.dumps([log_lines(), counted])


def test_a_line_that_counts_an_outcome_has_nothing_personal(shop: Shop, metrics: Lines) -> None:
    shop.place(phone=PHONE)
    shop.place(paymentMethod="tok_declined", phone=PHONE)
    shop.run()
    log = json.dumps(metrics())
    assert "CustomersNotified" in log
    assert ANNA.email not in log
    assert PHONE not in log

"""What a notebook does for its reader: an address that bothers nobody, a ledger that counts, events that are marked."""

from email.message import Message
from io import BytesIO
from types import SimpleNamespace
from typing import Any, cast
from urllib.error import HTTPError

import pytest

from notebooks import reader
from operations.customer import ShopAccount
from operations.stack import Stack
from orders.aws.dynamodb import to_item


def test_a_customer_has_an_address_of_the_mailbox_simulator_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("READER_EMAIL", raising=False)

    name, _, host = reader._address().partition("@")

    assert name.startswith("success+reader-")
    assert host == "simulator.amazonses.com"
    assert reader._address() != reader._address()


def test_a_reader_on_aws_gets_the_mail_of_each_customer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READER_EMAIL", "you@example.com")

    assert reader._address().startswith("you+reader-")
    assert reader._address().endswith("@example.com")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The item that the tables have."""
    item: dict[str, Any] = {}
    dynamodb = SimpleNamespace(get_item=lambda **_: {"Item": to_item(item)} if item else {})
    outputs = {"GatewayLedgerTableName": "ledger", "EventBusName": "bus"}
    stack = cast(Stack, SimpleNamespace(client=lambda _: dynamodb, outputs=outputs))
    monkeypatch.setattr(reader, "the_stack", lambda: stack)
    return item


def test_the_ledger_counts_requests_charges_and_refunds(found: dict[str, Any]) -> None:
    assert reader.ledger("id") == {"state": None, "requests": 0, "charges": 0, "refunds": 0}

    found |= {"state": "CHARGED", "requests": 3, "charges": 1, "refunds": 0, "amount": 1400}

    assert reader.ledger("id") == {"state": "CHARGED", "requests": 3, "charges": 1, "refunds": 0}


def test_what_the_notebook_publishes_is_drawn_as_the_readers() -> None:
    reader._note_published({"Entries": [{"EventId": "mine"}, {"ErrorCode": "InternalFailure"}]})

    row = {
        "eventId": "mine",
        "eventType": "PaymentCompletedEvent",
        "source": "order-processing.payment",
        "timestamp": "2026-01-31T09:30:00.000Z",
        "domainEventId": "fact",
    }
    assert "You: PaymentCompletedEvent" in reader.sequence([row]).text
    assert "PaymentProcessing: PaymentCompletedEvent" in reader.sequence([{**row, "eventId": "other"}]).text


def test_a_refused_request_shows_the_reason_of_the_api_and_keeps_it_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = b'{"title": "Unprocessable Content", "errors": [{"loc": "paymentMethod"}]}'

    def refuse(*_: Any, **__: Any) -> None:
        raise HTTPError("url", 422, "Unprocessable Content", Message(), BytesIO(problem))

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    account = ShopAccount.__new__(ShopAccount)
    account._api_url, account.token = "http://127.0.0.1:1", "token"

    with pytest.raises(HTTPError) as refused:
        account.post("/orders", {})

    assert refused.value.__notes__ == [problem.decode()]
    assert refused.value.read() == problem

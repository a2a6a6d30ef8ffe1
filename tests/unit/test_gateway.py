"""The simulated payment provider keeps its word: one answer for each idempotency key, for ever."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from handlers.wiring import gateway
from orders.aws.gateway import DECLINES, SimulatedGateway
from orders.errors import GatewayContradictsOrder, GatewayUnavailable
from orders.ports import Charged, Declined, Refunded, Voided
from tests.shop import Shop


def charge(key: str = "a", *, token: str = "tok_visa", amount: int = 100, reference: str = "order") -> Any:
    return gateway().charge(token, amount, "EUR", idempotency_key=key, reference=reference)


def cancel(key: str = "a") -> Any:
    return gateway().cancel(idempotency_key=key, reference="order")


def test_each_test_token_is_approved_or_declined_as_it_says(shop: Shop) -> None:
    for token, reason in DECLINES.items():
        answer = charge(token, token=token)
        assert str(UUID(answer.payment_id)) == answer.payment_id
        assert answer == (Declined(answer.payment_id, reason) if reason else Charged(answer.payment_id))
    assert charge("b", token="tok_of_another_provider").reason == "unknown_token"


@pytest.mark.parametrize("token", ["tok_visa", "tok_declined"])
def test_a_key_keeps_its_first_answer_and_counts_its_requests(shop: Shop, token: str) -> None:
    answers = {charge(token=token) for _ in range(10)}
    assert len(answers) == 1
    [row] = shop.ledger.values()
    assert (row["requests"], row["charges"], row["refunds"]) == (10, 1 if token == "tok_visa" else 0, 0)
    assert (row["reference"], row["amount"], row["currency"]) == ("order", 100, "EUR")


def test_two_keys_of_one_reference_are_two_charges(shop: Shop) -> None:
    """Which is why the order's id is the key: the ledger would show it."""
    assert charge("a") != charge("b")
    assert [row["charges"] for row in shop.ledger.values() if row["reference"] == "order"] == [1, 1]


@pytest.mark.parametrize("other", [{"token": "tok_mastercard"}, {"amount": 200}])
def test_a_key_with_another_charge_is_refused_and_changes_nothing(shop: Shop, other: dict[str, Any]) -> None:
    charge()
    before = shop.ledger
    with pytest.raises(GatewayContradictsOrder, match=r"a belongs to a charge of 1\.00 EUR"):
        charge(**other)
    assert shop.ledger == before


def test_what_was_charged_is_refunded_once_and_stays_charged_in_the_provider_s_memory(shop: Shop) -> None:
    charged = charge()
    refunds = {cancel() for _ in range(10)}
    [refunded] = refunds
    assert refunded == Refunded(charged.payment_id, refunded.refund_id)
    assert charge() == charged, "the same question, the same answer"
    [row] = shop.ledger.values()
    assert (row["state"], row["charges"], row["refunds"]) == ("REFUNDED", 1, 1)


@pytest.mark.parametrize("first", [lambda: None, lambda: charge(token="tok_declined")], ids=["nothing", "declined"])
def test_a_voided_key_is_never_charged_however_late_the_call_arrives(shop: Shop, first: Callable[[], object]) -> None:
    first()
    assert {cancel() for _ in range(10)} == {Voided()}
    for token in ("tok_visa", "tok_declined"):
        assert charge(token=token) == Voided()
    assert charge(amount=200) == Voided()
    assert cancel() == Voided()
    [row] = shop.ledger.values()
    assert (row["state"], row["charges"], row["refunds"]) == ("VOIDED", 0, 0)


def test_a_charge_between_the_two_writes_of_a_cancellation_is_refunded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first write finds nothing to refund, the second nothing to void any more."""
    update, calls = SimulatedGateway._update, []

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            monkeypatch.setattr(SimulatedGateway, "_update", update)
            charge()
        return update(*args, **kwargs)

    monkeypatch.setattr(SimulatedGateway, "_update", overtaken)

    assert isinstance(cancel(), Refunded)
    [row] = shop.ledger.values()
    assert (row["state"], row["charges"], row["refunds"]) == ("REFUNDED", 1, 1)


@pytest.mark.parametrize("call", [charge, cancel])
def test_a_gateway_that_is_down_answers_nothing_and_remembers_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]
) -> None:
    monkeypatch.setenv("PAYMENT_GATEWAY", "down")
    with pytest.raises(GatewayUnavailable, match="no money moved"):
        call()
    assert shop.ledger == {}


@pytest.mark.parametrize("call", [charge, cancel])
def test_a_ledger_that_is_throttled_is_a_gateway_that_does_not_respond(shop: Shop, call: Callable[[], object]) -> None:
    shop.wire.fail("dynamodb:UpdateItem", "ThrottlingException")
    with pytest.raises(GatewayUnavailable, match="ThrottlingException"):
        call()


@pytest.mark.parametrize("call", [charge, cancel])
def test_a_lost_answer_is_asked_for_again_and_is_the_same(shop: Shop, call: Callable[[], Any]) -> None:
    charge()
    shop.wire.lose_answer("dynamodb:UpdateItem")
    assert call() == call()
    [row] = shop.ledger.values()
    assert (row["charges"], row["refunds"]) == (1, 0 if call is charge else 1)

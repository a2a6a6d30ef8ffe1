"""The tutorial's switches: a rule that is off delivers nothing, and whatever happens, it is on again afterwards."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from notebooks import switches
from operations.stack import Stack, described
from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper, envelope_of
from tests.e2e.waiting import wait_for


@pytest.fixture(scope="module")
def stack(cloud: Cloud) -> Stack:
    return described(cloud.stack)


@pytest.fixture(scope="module")
def probes(anna: Shopper) -> list[dict[str, Any]]:
    """The events of an order that has ended, as entries for PutEvents."""
    envelopes = [envelope_of(entry) for entry in anna.whole_trail(anna.ended_order()["orderId"])]
    return [
        {"Source": each["source"], "DetailType": each["detail-type"], "Detail": json.dumps(each["detail"])}
        for each in envelopes
    ]


def states(stack: Stack) -> set[str]:
    rules = stack.client("events").list_rules(EventBusName=stack.outputs["EventBusName"])["Rules"]
    return {rule["State"] for rule in rules}


def test_no_event_reaches_the_function_meanwhile_and_the_next_one_does(
    stack: Stack, anna: Shopper, probes: list[dict[str, Any]]
) -> None:
    with switches.rules_off(stack, "fulfillment", lambda: probes):
        held = anna.place().json()["orderId"]
        wait_for("the payment", lambda: anna.order(held)["status"] == "PAID")
        assert states(stack) == {"ENABLED", "DISABLED"}

    assert anna.ended(anna.place().json()["orderId"])["status"] == "FULFILLED"


def test_the_rules_are_on_again_after_an_error_and_nothing_is_left(stack: Stack, probes: list[dict[str, Any]]) -> None:
    with pytest.raises(ZeroDivisionError), switches.rules_off(stack, "notification", lambda: probes):
        _ = 1 / 0

    assert states(stack) == {"ENABLED"}
    rules = stack.client("events").list_rules(EventBusName=stack.outputs["EventBusName"])["Rules"]
    assert not [rule for rule in rules if "-mine-" in rule["Name"]]
    assert not stack.client("sqs").list_queues(QueueNamePrefix=f"{stack.name}-mine-").get("QueueUrls")


def test_a_switch_waits_until_the_change_holds(
    stack: Stack, probes: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On AWS a disabled rule delivers for a while yet: here until the third probe."""
    asked: list[bool] = []
    real = switches._observed

    @contextmanager
    def slow(*arguments: Any) -> Iterator[Callable[[], bool]]:
        with real(*arguments) as delivers:

            def lagging() -> bool:
                asked.append(delivers())
                return True if len(asked) < 3 else asked[-1]

            yield lagging

    monkeypatch.setattr(switches, "_observed", slow)
    with switches.rules_off(stack, "fulfillment", lambda: probes):
        assert asked == [False, False, False]
    assert asked[3:] == [True]

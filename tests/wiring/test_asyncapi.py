"""docs/asyncapi.yaml says what the code and the rules say: who sends which event, who receives it, in which shape."""

import json
import re
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import yaml

from orders.events import EVENTS
from tests.shop import Shop
from tools import flow, topology
from tools.checkout import ROOT
from verification import matching
from verification.contract import asyncapi

DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())


def events_of(operation: str) -> set[str]:
    return {each["$ref"].rpartition("/")[2] for each in DOCUMENT["operations"][operation]["messages"]}


def test_the_committed_files_are_what_models_and_rules_make() -> None:
    assert (ROOT / "docs" / "asyncapi.yaml").read_text() == asyncapi.document(), "npm run contract"
    made = asyncapi.schemas()
    folder = ROOT / "docs" / "events"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")} == made.keys()
    for name, text in made.items():
        assert (folder / name).read_text() == text, "npm run contract"


def test_each_function_sends_and_receives_what_its_rights_and_rules_say() -> None:
    expected = set()
    for function in topology.functions():
        if sent := set(flow.publishes(function)):
            assert events_of(f"{function}Publishes") == sent
            expected.add(f"{function}Publishes")
        if received := {event for event, consumers in flow.consumers().items() if function in consumers}:
            assert events_of(f"{function}Consumes") == received
            expected.add(f"{function}Consumes")
    assert DOCUMENT["operations"].keys() == expected


def test_each_event_that_is_published_fits_its_schema(shop: Shop) -> None:
    # given an order for each way to end
    for method in ("tok_visa", "tok_declined"):
        shop.place(paymentMethod=method)
        shop.run()
    order_id, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    shop.cancel(order_id)
    shop.run()

    # then
    assert {event["detail-type"] for event in shop.published} == EVENTS.keys()
    for event in shop.published:
        schema = json.loads((ROOT / "docs" / "events" / "v1" / f"{event['detail-type']}.json").read_text())
        validator = jsonschema_rs.validator_for(schema)
        validator.validate(event["detail"])
        assert not validator.is_valid({**event["detail"], "data": {}})


# --- docs/events.md ---------------------------------------------------------------------------------------------------


def _function_of_the_page(name: str) -> Any:
    """A function in one of the page's Python snippets."""
    page = (ROOT / "docs" / "events.md").read_text()
    [snippet] = [each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if f"def {name}(" in each]
    namespace: dict[str, Any] = {"json": json}
    exec(snippet, namespace)  # as a reader would paste it
    return namespace[name]


def test_the_page_s_function_makes_a_cloud_event_of_each_event(shop: Shop) -> None:
    as_cloud_event = _function_of_the_page("as_cloud_event")
    order_id = shop.place().body["orderId"]
    shop.run()

    events = [as_cloud_event(event) for event in shop.published]

    assert [event["type"] for event in events] == [
        "OrderPlacedEvent.v1",
        "PaymentCompletedEvent.v1",
        "FulfillmentCompletedEvent.v1",
    ]
    for event in events:
        assert {"specversion", "id", "source", "type"} <= event.keys(), "what CloudEvents requires"
        assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event), "names as CloudEvents wants them"
        assert event["subject"] == order_id
        assert (ROOT / event["dataschema"]).is_file()
    assert "causationid" not in events[0]
    assert events[1]["causationid"] == events[0]["id"]


def test_the_page_s_rule_matches_a_refund_and_nothing_else() -> None:
    asked: dict[str, Any] = {}
    events = SimpleNamespace(put_rule=lambda **rule: asked.update(rule), put_targets=lambda **_: None)
    _function_of_the_page("subscribe")(events, "bus", "arn:aws:sqs:us-east-1:000000000000:bookkeeping")
    pattern = json.loads(asked["EventPattern"])
    found = [
        name
        for name, event in EVENTS.items()
        if matching.matches(pattern, {"source": event.source, "detail-type": name, "detail": {}})
    ]
    assert found == ["PaymentRefundedEvent"]

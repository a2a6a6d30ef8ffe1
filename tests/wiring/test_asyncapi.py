"""docs/asyncapi.yaml says what the code and the rules say: who sends which event, who receives it, in which shape."""

import json
import re
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import pytest
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
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}
    assert {name for name in files if not name.startswith("examples/")} == made.keys()
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


def test_the_queue_of_notification_is_described_as_the_topic_s_subscription_has_it() -> None:
    [subscription] = [each for each in topology.of_type("AWS::SNS::Subscription").values() if each["Protocol"] == "sqs"]
    [consumer] = DOCUMENT["operations"]["notificationConsumes"]["bindings"]["sns"]["consumers"]
    assert consumer["protocol"] == "sqs"
    assert {"Fn::GetAtt": f"{consumer['endpoint']['name']}.Arn"} == subscription["Endpoint"]
    assert consumer["rawMessageDelivery"], "else its messages are not EventBridge's envelope, as the document says"


def _publish_each_event(shop: Shop) -> None:
    """An order for each way to end."""
    for method in ("tok_visa", "tok_declined"):
        shop.place(paymentMethod=method)
        shop.run()
    order_id, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    shop.cancel(order_id)
    shop.run()
    assert {event["detail-type"] for event in shop.published} == EVENTS.keys()


def test_each_event_that_is_published_fits_its_schema_and_its_message(shop: Shop) -> None:
    _publish_each_event(shop)
    for event in shop.published:
        name = event["detail-type"]
        validator = jsonschema_rs.validator_for(json.loads((ROOT / f"docs/events/v1/{name}.json").read_text()))
        validator.validate(event["detail"])
        assert not validator.is_valid({**event["detail"], "data": {}})

        components = DOCUMENT["components"]
        message = jsonschema_rs.validator_for({**components["messages"][name]["payload"], "components": components})
        message.validate(event)
        message.validate({**event, "replay-name": "replay"})
        for field, wrong in {"source": "somebody.else", "detail-type": "OrderLostEvent", "detail": {}}.items():
            assert not message.is_valid({**event, field: wrong})


# --- docs/events.md ---------------------------------------------------------------------------------------------------


PAGE = (ROOT / "docs" / "events.md").read_text()
QUEUE = "arn:aws:sqs:us-east-1:000000000000:bookkeeping"


def _resources_of_the_page(kind: str) -> list[dict[str, Any]]:
    """The properties of all resources of a type in the page's CloudFormation snippets."""
    snippets = [topology.parsed(each) for each in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    found = [resource for snippet in snippets for resource in snippet.values() if resource["Type"] == kind]
    return [resource["Properties"] for resource in found]


def _function_of_the_page(name: str) -> Any:
    """A function in one of the page's Python snippets."""
    [snippet] = [each for each in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if f"def {name}(" in each]
    namespace: dict[str, Any] = {"json": json}
    exec(snippet, namespace)  # as a reader would paste it
    return namespace[name]


def test_the_page_s_function_makes_a_cloud_event_of_each_event(shop: Shop) -> None:
    as_cloud_event = _function_of_the_page("as_cloud_event")
    _publish_each_event(shop)
    for envelope in shop.published:
        metadata, data = envelope["detail"]["metadata"], envelope["detail"]["data"]
        event = as_cloud_event(envelope)
        assert {"specversion", "id", "source", "type"} <= event.keys(), "what CloudEvents requires"
        assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event), "names as CloudEvents wants them"
        assert None not in event.values()
        assert event["type"] == f"{envelope['detail-type']}.v1"
        assert (event["id"], event["time"]) == (metadata["eventId"], metadata["occurredAt"])
        assert (event["subject"], event["data"]) == (data["orderId"], data)
        assert event.get("causationid") == metadata["causationId"]


def test_the_table_of_cloud_events_names_what_the_function_makes(shop: Shop) -> None:
    _publish_each_event(shop)
    made = {name for event in shop.published for name in _function_of_the_page("as_cloud_event")(event)}
    _, _, section = PAGE.partition("## As CloudEvents")
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == made


def test_the_page_s_rules_match_a_refund_and_nothing_else() -> None:
    asked: dict[str, Any] = {}
    events = SimpleNamespace(
        put_rule=lambda **rule: asked.update(rule), put_targets=lambda **_: {"FailedEntryCount": 0, "FailedEntries": []}
    )
    _function_of_the_page("subscribe")(events, "bus", QUEUE)
    declared = [each["EventPattern"] for each in _resources_of_the_page("AWS::Events::Rule")]
    assert declared
    for pattern in (json.loads(asked["EventPattern"]), *declared):
        found = [
            name
            for name, event in EVENTS.items()
            if matching.matches(pattern, {"source": event.source, "detail-type": name, "detail": {}})
        ]
        assert found == ["PaymentRefundedEvent"]


def test_the_page_s_function_notices_a_target_that_was_not_added() -> None:
    failed = [{"TargetId": "bookkeeping", "ErrorCode": "ConcurrentModificationException"}]
    events = SimpleNamespace(
        put_rule=lambda **_: None, put_targets=lambda **_: {"FailedEntryCount": 1, "FailedEntries": failed}
    )
    with pytest.raises(RuntimeError, match="ConcurrentModificationException"):
        _function_of_the_page("subscribe")(events, "bus", QUEUE)


def test_the_page_s_policy_lets_another_account_make_rules_for_what_it_names_alone() -> None:
    """ForAllValues is true of a rule without the key too, which would match every event: Null refuses such a rule."""
    policies = [each["Statement"] for each in _resources_of_the_page("AWS::Events::EventBusPolicy")]
    [makes_rules] = [each for each in policies if "events:PutRule" in each["Action"]]
    limited = makes_rules["Condition"]["ForAllValues:StringEquals"]
    assert limited == {"events:source": ["order-processing.payment"], "events:detail-type": ["PaymentRefundedEvent"]}
    assert makes_rules["Condition"]["Null"] == dict.fromkeys(limited, "false")
    for policy in policies:
        assert policy["Condition"]["StringEqualsIfExists"] == {"events:creatorAccount": "${aws:PrincipalAccount}"}

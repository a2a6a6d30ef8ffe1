"""Who gets which event, and that somebody does."""

import re
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from handlers import order_feed, order_service
from orders.events import EVENTS, Event
from tests.rights import published_under
from tests.shop import Envelope, envelope
from tools import flow, topology
from tools.checkout import ROOT
from verification import matching


def _envelope(event: type[Event]) -> Envelope:
    return envelope(event.detail_type(), event.source, {})


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_each_event_reaches_its_consumers_and_the_audit_log(event: type[Event]) -> None:
    consumers = matching.consumers(_envelope(event))
    assert len(consumers) == len(set(consumers)), "once each"
    assert set(consumers) == set(flow.consumers()[event.detail_type()])


def test_there_is_no_event_without_a_consumer_and_no_rule_without_an_event() -> None:
    assert flow.consumers().keys() == EVENTS.keys()
    matched = {rule for rule, pattern, _ in topology.rules() for event in EVENTS.values() if _matches(pattern, event)}
    assert matched == {rule for rule, _, _ in topology.rules()}


def test_each_name_in_a_pattern_is_an_event_or_a_source_that_exists() -> None:
    sources = {event.source for event in EVENTS.values()}
    for rule, pattern, _ in topology.rules():
        assert set(pattern.get("detail-type", [])) <= EVENTS.keys(), rule
        assert set(pattern.get("source", [])) <= sources, rule


def test_what_is_replayed_reaches_everybody_but_the_audit_log() -> None:
    for event in EVENTS.values():
        replayed = {**_envelope(event), "replay-name": "replay"}
        assert set(matching.consumers(replayed)) == set(flow.consumers()[event.detail_type()]) - {"auditLogger"}


def test_what_comes_from_elsewhere_or_has_another_name_is_logged_and_starts_nothing() -> None:
    for event in EVENTS.values():
        assert matching.consumers(envelope(event.detail_type(), "somebody.else", {})) == ["auditLogger"]
        assert set(matching.consumers(envelope("OrderLostEvent", event.source, {}))) == {"auditLogger", "orderFeed"}
        assert set(flow.recorders()) == {"auditLogger", "orderFeed"}


def test_the_archive_keeps_every_event() -> None:
    [archive] = topology.of_type("AWS::Events::Archive").values()
    assert "EventPattern" not in archive
    assert archive["SourceArn"] == {"Fn::GetAtt": "EventBus.Arn"}


def test_no_function_is_fed_by_two_triggers_and_none_by_none() -> None:
    functions = topology.service()["functions"]
    fed = [function for _, _, function in topology.rules()]
    assert len(fed) == len(set(fed))
    assert set(fed) == {name for name in functions if topology.trigger(name) in {"bus", "queue"}}
    assert topology.routes("orderService")
    [schedule] = [event["eventBridge"]["schedule"] for event in functions["reconciler"]["events"]]
    assert schedule == "rate(1 minute)"


def test_each_function_s_handler_exists_and_each_handler_file_is_a_function_s() -> None:
    functions = topology.service()["functions"]
    for name in functions:
        assert callable(import_module(topology.handler(name)).handler)
        assert functions[name]["handler"] == f"handlers/{_snake(name)}.handler"
    files = (ROOT / "handlers").glob("*.py")
    assert {file.stem for file in files if "\ndef handler(" in file.read_text()} == {_snake(name) for name in functions}


def test_each_route_of_the_api_has_its_function_and_each_function_its_route() -> None:
    assert set(topology.routes("orderService")) == set(order_service.ROUTES)
    assert set(topology.routes("orderFeed")) == set(order_feed.ROUTES)
    events = topology.service()["functions"]["orderFeed"]["events"]
    assert {event["websocket"] for event in events if "websocket" in event} == set(order_feed.SOCKET_ROUTES)


def test_the_readme_s_table_of_events_is_what_cog_writes() -> None:
    cog = [sys.executable, "-m", "cogapp", "--check", "README.md"]
    assert subprocess.run(cog, cwd=ROOT, check=False).returncode == 0, "python -m cogapp -r README.md"


def test_each_publisher_of_an_event_has_the_right_to_and_nobody_else() -> None:
    for event in EVENTS.values():
        allowed = {role for role, may in _publishers().items() if (event.source, event.detail_type()) in may}
        publishers = {name for name in topology.functions() if event.detail_type() in flow.publishes(name)}
        assert {f"{topology.title(name)}Role" for name in publishers} == allowed


def _publishers() -> dict[str, set[tuple[str, str]]]:
    """Role → the sources and detail types that it may publish."""
    found: dict[str, set[tuple[str, str]]] = {}
    for role, properties in topology.of_type("AWS::IAM::Role").items():
        for policy in properties["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Action"] == "events:PutEvents":
                    names = published_under(statement)
                    types = names["events:detail-type"]
                    for detail_type in [types] if isinstance(types, str) else types:
                        found.setdefault(role, set()).add((names["events:source"], detail_type))
    return found


def _matches(pattern: Any, event: type[Event]) -> bool:
    return matching.matches(pattern, _envelope(event))


def _snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()

"""docs/asyncapi.yaml says what the code and the rules say: who sends which event, who receives it, in which shape."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from orders.events import EVENTS
from tests.shop import Shop
from tools import flow, topology
from tools.checkout import ROOT
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


def test_asyncapi_s_own_parser_refuses_a_broken_document(tmp_path: Path) -> None:
    """The parser is there once `npm run check` has run, which lets it judge the document; else this is skipped."""
    if not (ROOT / "tools" / "asyncapi" / "node_modules").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("the parser is not installed: npm run check")
        pytest.skip("the parser is not installed: npm run check")
    broken = tmp_path / "broken.yaml"
    text = (ROOT / "docs" / "asyncapi.yaml").read_text()
    broken.write_text(text.replace("#/channels/bus/messages/OrderPlacedEvent", "#/channels/bus/messages/Nothing", 1))

    def judged(file: Path) -> subprocess.CompletedProcess[str]:
        command = ["node", "tools/asyncapi/validate.mjs", str(file)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (judged(ROOT / "docs" / "asyncapi.yaml").returncode, judged(broken).returncode) == (0, 1)
    assert "error" in judged(broken).stdout

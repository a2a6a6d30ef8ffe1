"""Events evolve by optional fields only: today's models against what was recorded of every version."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from orders.events import VERSIONS
from tools.checkout import ROOT
from verification.contract.evolution import breaking_changes, file_of, record, resolved

RECORDED = ROOT / "tests" / "recorded"
EVERY = [(version, detail_type) for version, events in VERSIONS.items() for detail_type in events]

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def paid() -> dict[str, Any]:
    """The recorded schema of PaymentCompletedEvent."""
    schema: dict[str, Any] = json.loads(file_of(RECORDED, "1", "PaymentCompletedEvent").read_text())
    return schema


@pytest.mark.parametrize(("version", "detail_type"), EVERY)
def test_no_model_has_changed_so_that_it_breaks_an_event_or_a_consumer(version: str, detail_type: str) -> None:
    recorded = json.loads(file_of(RECORDED, version, detail_type).read_text())
    current = resolved(VERSIONS[version][detail_type].model_json_schema())
    assert list(breaking_changes(recorded, current)) == []
    assert recorded == current, "a new field is recorded with: npm run contract"


def test_what_was_recorded_once_stays() -> None:
    files = {file.relative_to(RECORDED).as_posix() for file in RECORDED.glob("v*/schemas/*.json")}
    assert files == {file_of(RECORDED, *each).relative_to(RECORDED).as_posix() for each in EVERY}


def _data(schema: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = schema["properties"]["data"]
    return data


OPTIONAL = {"anyOf": [{"type": "string"}, {"type": "null"}]}

BREAKS: dict[str, tuple[Change, str]] = {
    "a field removed": (lambda s: _data(s)["properties"].pop("currency"), "data.currency is gone"),
    "a new required field": (
        lambda s: (_data(s)["properties"].update(tax=OPTIONAL), _data(s)["required"].append("tax")),
        "data.tax is new and required: make it optional",
    ),
    "a required field made optional": (
        lambda s: _data(s)["required"].remove("currency"),
        "data.currency was required and is optional",
    ),
    "another type": (
        lambda s: _data(s)["properties"]["totalAmount"].update(type="number"),
        "data.totalAmount: type was 'integer' and is 'number'",
    ),
    "a narrower value": (
        lambda s: _data(s)["properties"]["totalAmount"].update(minimum=1),
        "data.totalAmount: minimum was 0 and is 1",
    ),
    "a field renamed": (
        lambda s: _data(s)["properties"].update(id=_data(s)["properties"].pop("paymentId")),
        "data.paymentId is gone",
    ),
    "another version under the same number": (
        lambda s: s["properties"]["metadata"]["properties"]["version"].update(const="2"),
        "metadata.version: const was '1' and is '2'",
    ),
}


@pytest.mark.parametrize(("change", "said"), BREAKS.values(), ids=BREAKS)
def test_a_breaking_change_is_named(paid: dict[str, Any], change: Change, said: str) -> None:
    changed = deepcopy(paid)
    change(changed)
    assert said in list(breaking_changes(paid, changed))


def test_a_new_optional_field_breaks_nothing(paid: dict[str, Any]) -> None:
    changed = deepcopy(paid)
    _data(changed)["properties"]["giftNote"] = OPTIONAL
    assert list(breaking_changes(paid, changed)) == []


def test_the_lines_of_an_order_are_compared_as_well() -> None:
    placed = json.loads(file_of(RECORDED, "1", "OrderPlacedEvent").read_text())
    changed = deepcopy(placed)
    _data(changed)["properties"]["items"]["items"]["properties"].pop("sku")
    assert list(breaking_changes(placed, changed)) == ["data.items[].sku is gone"]


def test_a_breaking_change_is_not_recorded(paid: dict[str, Any], tmp_path: Path) -> None:
    record(tmp_path)
    file = file_of(tmp_path, "1", "PaymentCompletedEvent")
    before = deepcopy(paid)
    _data(before)["properties"]["coupon"] = OPTIONAL
    file.write_text(json.dumps(before))
    with pytest.raises(ValueError, match=r"PaymentCompletedEvent, version 1: data\.coupon is gone"):
        record(tmp_path)

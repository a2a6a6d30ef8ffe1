"""The documents' pictures are what `python -m notebooks.build.architecture` draws, whatever consumers there are."""

import json
from datetime import datetime, timedelta
from itertools import combinations
from xml.etree import ElementTree

import pytest

from notebooks.build import architecture
from tools import topology
from tools.checkout import ROOT

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ["architecture.svg", "sequence.svg"])
def test_a_picture_in_docs_is_what_the_command_writes(name: str) -> None:
    stale = f"docs/{name} is out of date: python -m notebooks.build.architecture"
    assert (ROOT / "docs" / name).read_text() == architecture.documents()[name], stale


def test_the_sequence_is_of_a_warm_order() -> None:
    """A cold start takes longer than all its steps together."""
    order = json.loads(architecture.EVIDENCE.read_text())["order"]

    steps = [datetime.fromisoformat(each) for each in (order["placedAt"], order["notification"]["at"])]
    assert steps[1] - steps[0] < timedelta(milliseconds=300)


def with_loyalty(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more consumer in serverless.yml."""
    service = topology.service()
    loyalty = {
        **service["functions"]["fulfillment"],
        "role": "OrderStatusUpdaterRole",
    }
    functions = {**service["functions"], "loyalty": loyalty}
    monkeypatch.setattr(topology, "service", lambda: {**service, "functions": functions})
    topology.rules.cache_clear()


@pytest.mark.parametrize("more", [False, True], ids=["as it is", "with loyalty"])
def test_each_function_is_in_the_picture_and_no_two_boxes_overlap(monkeypatch: pytest.MonkeyPatch, more: bool) -> None:
    if more:
        with_loyalty(monkeypatch)
    root = ElementTree.fromstring(architecture.architecture())
    topology.rules.cache_clear()
    titles = {text.text for text in root.iter(f"{SVG}text") if text.get("class") == "t"}
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = [
        [float(box.attrib[side]) for side in ("x", "y", "width", "height")]
        for box in root.iter(f"{SVG}rect")
        if "x" in box.attrib
    ]

    assert titles >= {topology.title(name) for name in topology.functions()}
    assert ("Loyalty" in titles) == more
    assert all(x + w <= width and y + h <= height for x, y, w, h in boxes)
    assert [
        (one, other)
        for one, other in combinations(boxes, 2)
        if one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    ] == []

"""The documents' pictures are what `python -m notebooks.build.architecture` draws, whatever consumers there are."""

import json
from datetime import datetime, timedelta
from itertools import combinations
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from notebooks.build import architecture
from notebooks.build.focus import FUNCTIONS, PICTURES
from notebooks.build.layout import WORKFLOW, system
from notebooks.build.shapes import FONT, Box
from tools import topology
from tools.checkout import ROOT

SVG = "{http://www.w3.org/2000/svg}"


DOCUMENTS = architecture.documents()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_picture_in_docs_is_what_the_command_writes(name: str) -> None:
    stale = f"docs/{name} is out of date: python -m notebooks.build.architecture"
    assert (ROOT / "docs" / name).read_text() == DOCUMENTS[name], stale


def test_the_sequence_is_of_a_warm_order() -> None:
    """A cold start takes longer than all its steps together."""
    order = json.loads(architecture.EVIDENCE.read_text())["order"]

    steps = [datetime.fromisoformat(each) for each in (order["placedAt"], order["notification"]["at"])]
    assert steps[1] - steps[0] < timedelta(milliseconds=300)


def test_no_other_picture_is_left_over() -> None:
    assert {f"pictures/{file.name}" for file in (ROOT / "docs" / "pictures").iterdir()} == {*DOCUMENTS} - {
        "architecture.svg",
        "sequence.svg",
    }


def test_a_function_s_picture_has_the_name_of_its_module() -> None:
    assert FUNCTIONS.keys() <= {topology.handler(name).partition(".")[2] for name in topology.functions()}


def parts(root: Element, state: str) -> set[str]:
    """The parts whose boxes are `lit` or `pale`."""
    groups = [group for group in root.iter(f"{SVG}g") if "data-part" in group.attrib]
    return {group.attrib["data-part"] for group in groups if state in group.attrib["class"].split()}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_highlights_what_the_table_says_and_says_so_in_words(name: str) -> None:
    every = {shape.part: shape.title for shape in system() if isinstance(shape, Box)}
    root, lit = ElementTree.fromstring(DOCUMENTS[f"pictures/{name}.svg"]), PICTURES[name].parts

    assert lit < every.keys(), "a part of the table is not in the picture, or nothing is pale"
    assert parts(root, "lit") == lit
    assert parts(root, "pale") == every.keys() - lit
    assert {*root.findtext(f"{SVG}desc", "").removeprefix("Highlighted: ").partition(". ")[0].split(", ")} == {
        every[part] for part in lit
    }
    assert PICTURES[name].about in root.findtext(f"{SVG}title", "")


@pytest.mark.parametrize("name", PICTURES)
def test_an_arrow_is_pale_unless_what_it_connects_is_highlighted_or_the_bus(name: str) -> None:
    root, lit = ElementTree.fromstring(DOCUMENTS[f"pictures/{name}.svg"]), PICTURES[name].parts
    for group in root.iter(f"{SVG}g"):
        if "data-ends" in group.attrib:
            ends = set(group.attrib["data-ends"].split())
            assert ("pale" in group.attrib["class"]) == (not ends <= lit | {"bus"}), ends


def test_each_step_of_the_main_workflow_is_on_an_arrow() -> None:
    root = ElementTree.fromstring(architecture.architecture())
    numbers = [int(text.text or "") for text in root.iter(f"{SVG}text") if text.get("class") == "n m"]

    assert sorted(numbers) == sorted(WORKFLOW.values())
    assert {*numbers} == {*range(1, 8)}


def test_the_text_can_be_read_where_the_picture_is_800_pixels_wide() -> None:
    _, _, width, _ = map(float, ElementTree.fromstring(architecture.architecture()).attrib["viewBox"].split())

    assert FONT * 800 / width >= 11


def test_each_text_fits_into_its_box() -> None:
    """By the width of DejaVu Sans, a wide font, which Chromium on Linux takes where it finds no other."""
    for box in (shape for shape in system() if isinstance(shape, Box) and shape.part != "bus"):
        widths = [len(box.title) * 14 * 0.62, *(len(line) * FONT * 0.54 for line in box.lines)]
        assert max(widths) <= box.width, box.title


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
    titles = {text.text for text in root.iter(f"{SVG}text") if text.get("class") == "t m"}
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = [
        [float(box.attrib[side]) for side in ("x", "y", "width", "height")]
        for box in root.iter(f"{SVG}rect")
        if "x" in box.attrib
    ]

    assert titles >= {topology.title(name) for name in topology.functions()}
    assert ("Loyalty" in titles) == more
    assert [text.text for text in root.iter(f"{SVG}text") if "transform" in text.attrib] == ["EventBridge event bus"]
    assert len(boxes) == sum("data-part" in group.attrib for group in root.iter(f"{SVG}g"))
    assert all(x + w <= width and y + h <= height for x, y, w, h in boxes)
    assert [
        (one, other)
        for one, other in combinations(boxes, 2)
        if one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    ] == []

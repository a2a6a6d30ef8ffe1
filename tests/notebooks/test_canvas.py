"""The live canvas without its widget: its front end, what it shows of an order, and what its buttons do."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.terminal.timeline import OrderView
from notebooks import live
from notebooks.bundle import bundled
from notebooks.saving import before_saving
from operations.repetition import UnknownOrder
from tools import topology
from tools.checkout import ROOT

CANVAS = SimpleNamespace(order_id="an order")
STACK: Any = SimpleNamespace(stage="local", outputs={})

Calls = list[tuple[Any, ...]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the buttons call, in place of a stack; a delay takes no time."""
    made: Calls = []

    @contextmanager
    def without_events_for(_: Any, function: str) -> Iterator[None]:
        made.append(("disable", function))
        yield
        made.append(("enable", function))

    def publish_again(_: Any, order_id: str) -> str:
        made.append(("publish", order_id))
        return "an event"

    def replay_order(_: Any, order_id: str) -> Iterator[Any]:
        made.append(("replay", order_id))
        yield SimpleNamespace(event_type="OrderPlacedEvent")

    monkeypatch.setattr(live, "without_events_for", without_events_for)
    monkeypatch.setattr(live, "replay_order", replay_order)
    monkeypatch.setattr(live, "publish_again", publish_again)
    monkeypatch.setattr(live, "switch_gateway", lambda _, to: made.append(("gateway", to)))
    monkeypatch.setattr(live, "gateway", lambda _: made[-1][1])
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return made


def test_the_front_end_is_one_module_which_has_each_module_of_the_storefront_that_it_needs_once(tmp_path: Path) -> None:
    bundle = bundled(ROOT / "notebooks" / "canvas.js")

    modules = re.findall(r"^modules\['(.+)'\] = ", bundle, re.MULTILINE)
    assert {"web/picture.js", "web/layout.js", "web/choreography.js", "web/moment.js"} < set(modules)
    assert len(modules) == len(set(modules))
    assert re.findall(r"^(import|export) (.+)", bundle, re.MULTILINE) == [("export", "default { render };")]
    (tmp_path / "canvas.mjs").write_text(bundle)
    window = "globalThis.window = { matchMedia: () => ({}) };"
    script = f"{window} console.log(typeof (await import('{tmp_path}/canvas.mjs')).default.render)"
    ran = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True)
    assert ran.stdout == "function\n", ran.stderr


def test_two_modules_of_the_front_end_may_use_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notebooks.bundle.ROOT", tmp_path)
    (tmp_path / "a.js").write_text("export const a = 1;\nconst own = 'a';\n")
    (tmp_path / "b.js").write_text(
        "import { a } from './a.js';\n\nconst own = 'b';\nexport function b() {\n  return [a, own];\n}\n"
    )
    (tmp_path / "c.js").write_text(
        "import { a } from './a.js';\nimport { b } from './b.js';\n\nconsole.log(JSON.stringify([a, ...b()]));\n"
    )

    ran = subprocess.run(["node", "-e", bundled(tmp_path / "c.js")], capture_output=True, text=True)

    assert json.loads(ran.stdout) == [1, 1, "b"]


def test_the_canvas_shows_the_order_and_its_rows_as_the_api_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = json.loads((ROOT / "tests" / "local" / "recorded" / "approved.json").read_text())
    rows = [
        {**event, "detail": {"data": event["data"]}, "loggedAt": event["timestamp"]} for event in recorded["events"]
    ]
    orders = {"an order": OrderView(recorded["order"], rows)}
    monkeypatch.setattr(live, "Views", lambda _: SimpleNamespace(of=orders.get))
    monkeypatch.setattr(live, "watch", lambda _: SimpleNamespace(rescue=lambda order_id: {"attempts": [order_id]}))

    read = live.reader_of(STACK)

    assert read("an order") == {**recorded, "rescue": {"attempts": ["an order"]}}
    with pytest.raises(UnknownOrder, match="no order 1 is stored"):
        read("1")
    on_aws = live.reader_of(SimpleNamespace(stage="dev"))  # type: ignore[arg-type]
    assert on_aws("an order") == {**recorded, "rescue": None}


def test_a_function_that_is_not_deployed_is_not_in_the_picture() -> None:
    with_storefront: Any = SimpleNamespace(outputs={"WebSocketUrl": "wss://example.com"})

    assert "orderFeed" in live.deployed_flow(with_storefront)["functions"]
    assert [*live.deployed_flow(STACK)["functions"]] == topology.always_deployed()


@pytest.mark.parametrize(
    ("button", "done"),
    [
        ("duplicate", [("publish", "an order")]),
        ("delay", [("disable", "fulfillment"), ("enable", "fulfillment"), ("replay", "an order")]),
        ("down", [("gateway", "down")]),
        ("up", [("gateway", "up")]),
        ("replay", [("replay", "an order")]),
    ],
)
def test_each_button_does_what_it_says(calls: Calls, button: str, done: Calls) -> None:
    said = list(live.BUTTONS[button].press(STACK, CANVAS))

    assert calls == done
    assert all(sentence.endswith((".", "…")) for sentence in said)


def test_what_a_delay_has_held_up_reaches_the_order_that_is_shown_at_its_end(calls: Calls) -> None:
    canvas = SimpleNamespace(order_id="an order")
    for seconds, _ in enumerate(live.BUTTONS["delay"].press(STACK, canvas)):
        if seconds == 3:
            canvas.order_id = "the order that was placed meanwhile"

    assert calls[-1] == ("replay", "the order that was placed meanwhile")


def test_a_delay_that_is_interrupted_ends_at_once(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[str] = []

    @contextmanager
    def without_events_for(_: Any, function: str) -> Iterator[None]:
        try:
            yield
        finally:
            restored.append(function)

    monkeypatch.setattr(live, "without_events_for", without_events_for)
    delay = live.BUTTONS["delay"].press(STACK, CANVAS)
    next(delay)
    delay.close()

    assert restored == ["fulfillment"]
    assert calls == []


def test_a_notebook_is_saved_with_the_picture_of_a_widget_and_without_its_view() -> None:
    shown = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "image/svg+xml": "<svg/>", "text/plain": ""}
    cells = [{"cell_type": "markdown"}, {"outputs": [{"data": shown}, {"output_type": "stream", "text": "said"}]}]

    before_saving(model={"type": "file", "content": "widget-view"}, path="a.txt")
    before_saving(model={"type": "notebook", "content": {"cells": cells}}, path="a.ipynb")

    assert cells[1]["outputs"][0] == {"data": {"image/svg+xml": "<svg/>", "text/plain": ""}}  # type: ignore[index]


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_notebook_of_the_tutorial_has_a_widget_that_a_viewer_could_not_show(notebook: Path) -> None:
    assert "widget-view" not in notebook.read_text()
    assert "widgets" not in json.loads(notebook.read_text())["metadata"]

"""The built notebooks' outputs: up to date, and in a form that a reader and every viewer can take."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from notebooks.build import excerpts
from tools.checkout import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def outputs(notebook: Path) -> list[dict[str, Any]]:
    """Each output's data: MIME type → text."""
    cells = json.loads(notebook.read_text())["cells"]
    return [
        {kind: "".join(text) for kind, text in output.get("data", {"text/plain": output.get("text", "")}).items()}
        for cell in cells
        for output in cell.get("outputs", [])
    ]


def named(notebook: Path) -> str:
    return notebook.stem


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=named)
def test_the_code_that_is_shown_is_todays(notebook: Path) -> None:
    assert excerpts.stale(json.loads(notebook.read_text())) == [], "npm run notebooks:build"


def test_code_that_has_changed_is_noticed() -> None:
    shown = "[`orders/clock.py`](../orders/clock.py)\n```python\ndef now():\n    return 0\n```"
    cell = {"outputs": [{"data": {"text/markdown": shown}}]}

    assert excerpts.stale({"cells": [cell]}) == ["orders/clock.py"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=named)
def test_a_result_has_a_label(notebook: Path) -> None:
    """No bare True, tuple or number of a line; no metadata of a response."""
    bare = re.compile(r"(True|False|None|\(.*\)|<.*>)", re.DOTALL)
    said = [each.get("text/plain", "") for each in outputs(notebook) if set(each) == {"text/plain"}]

    assert [text for text in said if bare.fullmatch(text) or "ResponseMetadata" in text] == []
    assert [text for text in said if re.search(r"\.yml:\d+", text)] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=named)
def test_what_needs_html_or_markdown_is_there_as_plain_text_as_well(notebook: Path) -> None:
    assert [sorted(each) for each in outputs(notebook) if not each.get("text/plain")] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=named)
def test_no_output_restyles_the_page(notebook: Path) -> None:
    html = " ".join(each.get("text/html", "") for each in outputs(notebook))

    assert not re.search(r"<style|<script|<body", html)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=named)
def test_no_output_names_this_machine(notebook: Path) -> None:
    assert str(ROOT) not in notebook.read_text()
    assert not re.search(r"/tmp/|/home/|/root/", " ".join(each.get("text/plain", "") for each in outputs(notebook)))

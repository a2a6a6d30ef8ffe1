"""The notebooks' text sources: how they are made."""

import re
from pathlib import Path

import pytest

from tools.checkout import ROOT

NOTEBOOKS = ROOT / "notebooks"
SOURCES = sorted((NOTEBOOKS / "build" / "sources").glob("[0-9]*.py"))


def cells(source: Path) -> list[tuple[str, str]]:
    """The kind of each cell (`code`, `markdown`, `exercise`) and its text."""
    parts = re.split(r"^# %%(.*)$", source.read_text(), flags=re.MULTILINE)[1:]
    kinds = {" [markdown]": "markdown", ' tags=["exercise"]': "exercise", "": "code"}
    return [(kinds[head], body) for head, body in zip(parts[::2], parts[1::2], strict=True)]


def named(source: Path) -> str:
    return source.stem


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_each_notebook_is_built(source: Path) -> None:
    assert (NOTEBOOKS / f"{source.stem}.ipynb").exists()


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_each_notebook_asks_for_a_prediction_asserts_draws_and_recaps(source: Path) -> None:
    prose = "".join(text for kind, text in cells(source) if kind == "markdown")
    code = "".join(text for kind, text in cells(source) if kind == "code")

    assert "redict" in prose
    assert "<details>" in prose
    assert "assert " in code
    assert re.search(r"tour\.(sequence|tree|timeline|topology)\(", code)
    assert "tour.source(" in code
    assert "## Recap" in prose


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_each_notebook_has_an_exercise_with_a_folded_solution_below_it(source: Path) -> None:
    found = cells(source)
    exercises = [number for number, (kind, _) in enumerate(found) if kind == "exercise"]

    assert exercises
    for number in exercises:
        kind, text = found[number + 1]
        assert kind == "markdown"
        assert re.search(r"<details>.*```python\n.*tour\.check\(.*```", text, re.DOTALL)


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_no_cell_names_an_endpoint_an_arn_a_table_or_an_account(source: Path) -> None:
    code = "".join(text for kind, text in cells(source) if kind != "markdown")

    assert not re.search(r"https?://|arn:aws|127\.0\.0\.1|localhost|\b\d{12}\b|order-processing-(local|dev)-", code)


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_no_cell_sleeps(source: Path) -> None:
    assert "sleep(" not in source.read_text()


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_each_link_leads_somewhere(source: Path) -> None:
    prose = "".join(text for kind, text in cells(source) if kind == "markdown")
    for link in re.findall(r"\]\(([^)#]+)\)", prose):
        assert (NOTEBOOKS / link).exists(), link

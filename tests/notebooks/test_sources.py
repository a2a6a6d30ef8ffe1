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
def test_each_notebook_asks_for_a_prediction_checks_draws_and_recaps(source: Path) -> None:
    prose = "".join(text for kind, text in cells(source) if kind == "markdown")
    code = "".join(text for kind, text in cells(source) if kind == "code")

    assert re.search(r"\*\*Predict", prose)
    assert "<details>" in prose
    assert "tour.expect(" in code
    assert re.search(r"tour\.(sequence|tree|timeline|topology|canvas)\(", code)
    assert "## Recap" in prose


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_each_notebook_begins_with_its_part_of_the_architecture(source: Path) -> None:
    kind, first = cells(source)[0]

    assert kind == "markdown"
    assert re.search(rf"!\[[^\]]{{20,}}\]\(\.\./docs/pictures/{source.stem}\.svg\)", first)


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_a_claim_is_checked_in_words_and_no_line_is_wider_than_a_cell(source: Path) -> None:
    code = "".join(text for kind, text in cells(source) if kind != "markdown")

    assert not re.search(r"^\s*assert ", code, re.MULTILINE)
    assert [line for line in code.splitlines() if len(line) > 88] == []


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_each_notebook_has_a_lab_with_a_folded_solution_below_it(source: Path) -> None:
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

    assert not re.search(
        r"https?://|arn:aws|127\.0\.0\.1|localhost|(?<!\+)\b\d{12}\b|order-processing-(local|dev)-", code
    )


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_no_cell_sleeps(source: Path) -> None:
    assert "sleep(" not in source.read_text()


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_each_link_leads_somewhere(source: Path) -> None:
    prose = "".join(text for kind, text in cells(source) if kind == "markdown")
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", prose):
        assert link.startswith("https://docs.aws.amazon.com/") or (NOTEBOOKS / link).exists(), link

"""The tutorial's first page, its glossary and its cheat sheet name what is there."""

import re

from tools.checkout import ROOT

NOTEBOOKS = ROOT / "notebooks"
FRONT_DOOR = (NOTEBOOKS / "README.md").read_text()


def test_the_path_lists_every_notebook_in_order_with_its_title() -> None:
    listed = re.findall(r"^\| (\d+) \| \[([^\]]+)\]\((\w+)\.ipynb\) \| \d+ \|", FRONT_DOOR, re.MULTILINE)

    sources = sorted((NOTEBOOKS / "build" / "sources").glob("[0-9]*.py"))
    titles = [re.search(r"^# # (\d+) · (.+)$", each.read_text(), re.MULTILINE) for each in sources]
    assert [(number, title, name) for number, title, name in listed] == [
        (title[1], title[2], source.stem) for title, source in zip(titles, sources, strict=True) if title
    ]


def test_the_glossary_is_in_alphabetical_order_and_names_notebooks_that_there_are() -> None:
    rows = re.findall(
        r"^\| \[?([^|\]]+?)[\]|(].*\| ([\d, ]+) \|$", (NOTEBOOKS / "glossary.md").read_text(), re.MULTILINE
    )
    terms = [term.strip().lower() for term, _ in rows]

    assert len(terms) > 25
    assert terms == sorted(terms)
    numbers = {int(number) for _, each in rows for number in each.split(",")}
    assert numbers <= {int(file.name[:2]) for file in NOTEBOOKS.glob("[0-9]*.ipynb")}


def test_each_concept_of_the_tutorial_is_in_the_glossary() -> None:
    glossary = (NOTEBOOKS / "glossary.md").read_text().lower()

    for term in (
        "at-least-once",
        "idempotent",
        "choreography",
        "orchestration",
        "saga",
        "outbox",
        "dlq",
        "eventual consistency",
    ):
        assert term in glossary


def test_the_cheat_sheet_has_the_dozen_calls() -> None:
    code = "".join(re.findall(r"```python\n(.*?)```", (NOTEBOOKS / "cheat_sheet.md").read_text(), re.DOTALL))

    for call in (
        "put_events",
        "test_event_pattern",
        "list_rules",
        "initiate_auth",
        "get_item",
        "query",
        "update_item",
        "receive_message",
        "invoke",
        "filter_log_events",
        "disable_rule",
        "enable_rule",
    ):
        assert f".{call}(" in code or f'"{call}"' in code

"""docs/blog.md has the article's parts in their order, and says of the code and of the measurements what is true."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from notebooks.build.focus import FUNCTIONS
from notebooks.build.layout import WORKFLOW
from orders.events import EVENTS
from tools import article, flow, topology
from tools.checkout import ROOT

FILE = ROOT / "docs" / "blog.md"
TEXT = FILE.read_text()
HEADINGS = [
    "Architecture overview",
    "The functions",
    "The tables",
    "The events",
    "The message flow",
    "Local testing",
    "What differs from the usual design, and why",
    "Lessons, with numbers",
    "Takeaways",
]
IN_ORDER = [
    "orderService",
    "orderStatusUpdater",
    "paymentProcessing",
    "notification",
    "fulfillment",
    "auditLogger",
]
"""The functions, in the article's order."""


def section(heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    [level] = [len(marks) for marks in re.findall(rf"^(#+) {re.escape(heading)}$", TEXT, re.MULTILINE)]
    below = TEXT.split(f"\n{'#' * level} {heading}\n", 1)[1]
    return re.split(rf"^#{{2,{level}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]


def point(function: str, name: str) -> str:
    """The point of a function's list that begins with a name, such as Trigger."""
    below = section(topology.title(function)).split(f"- **{name}:**", 1)[1]
    return re.split(r"\n(?:- |\n)", below)[0]


def named_events(text: str) -> set[str]:
    return set(re.findall(r"`(\w+Event)`", text))


def test_the_parts_are_there_in_their_order() -> None:
    assert re.findall(r"^## (.+)$", TEXT, re.MULTILINE) == HEADINGS


def test_the_functions_are_there_in_their_order_and_the_additions_after_them() -> None:
    headings = re.findall(r"^### (.+)$", section("The functions"), re.MULTILINE)

    assert headings[:-1] == [topology.title(function) for function in IN_ORDER]
    for added in ("reconciler", "orderFeed"):
        assert topology.title(added) in headings[-1]
        assert f"**{topology.title(added)}**" in section(headings[-1])


def test_the_workflow_has_the_steps_that_are_numbered_in_the_picture() -> None:
    steps = re.findall(r"^(\d+)\. \*\*", section("The main workflow in seven steps"), re.MULTILINE)

    assert [int(step) for step in steps] == sorted(set(WORKFLOW.values()))


@pytest.mark.parametrize("function", IN_ORDER)
def test_a_function_has_its_picture_its_points_and_a_few_lines_of_its_code(function: str) -> None:
    text, module = section(topology.title(function)), topology.handler(function).partition(".")[2]

    assert f"![{FUNCTIONS[module].about}](pictures/{module}.svg)" in text
    assert re.findall(r"^- \*\*(.+?):\*\*", text, re.MULTILINE) == [
        "Purpose",
        "Trigger",
        "Flow",
        "Key responsibilities",
    ]
    excerpts = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert excerpts
    assert all(len(excerpt.splitlines()) <= 25 for excerpt in excerpts)


@pytest.mark.parametrize("function", IN_ORDER)
def test_what_a_function_is_triggered_by_and_publishes_is_what_is_deployed(function: str) -> None:
    trigger, publishes = point(function, "Trigger"), named_events(point(function, "Flow"))

    assert publishes == set(flow.publishes(function))
    if function in flow.recorders():
        assert "every event" in trigger
    elif topology.trigger(function) == "api":
        assert sorted(re.findall(r"`([A-Z]+ /\S*)`", trigger)) == sorted(topology.routes(function))
    else:
        assert named_events(trigger) == {event for event, names in flow.consumers().items() if function in names}


def test_code_tables_and_events_are_what_the_code_has() -> None:
    checked = cog_check(FILE)
    assert checked.returncode == 0, f"python -m cogapp -r docs/blog.md\n{checked.stdout}{checked.stderr}"


def test_each_piece_of_code_is_printed_by_cog() -> None:
    printed = re.findall(r"\[\[\[cog.*?\[\[\[end", TEXT, re.DOTALL)
    for language in ("python", "yaml", "json"):
        assert TEXT.count(f"\n```{language}\n") == sum(each.count(f"\n```{language}\n") for each in printed)


def test_code_that_has_changed_is_noticed(tmp_path: Path) -> None:
    copy = tmp_path / "blog.md"
    copy.write_text(TEXT.replace("if_not_exists(#payment, :payment)", ":payment"))
    assert cog_check(copy).returncode == 5, "cog's code for what would change"


def cog_check(document: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cogapp", "--check", str(document)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_excerpt_is_the_function_without_its_docstring() -> None:
    assert article.code("handlers/audit_logger.py", "handler") in TEXT
    source = (ROOT / "orders" / "aws" / "store.py").read_text()
    for line in article.code("orders/aws/store.py", "OrdersTable.record_payment").splitlines()[2:-1]:
        assert line.strip() in source
    with pytest.raises(LookupError):
        article.code("handlers/audit_logger.py", "handle")


def test_the_event_that_is_shown_is_a_valid_one() -> None:
    [shown] = re.findall(r"```json\n(.*?)```", section("The events"), re.DOTALL)

    event = EVENTS["PaymentCompletedEvent"].read(json.loads(shown))
    assert json.loads(shown) == event.model_dump(by_alias=True)


def test_every_event_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section("The events"), re.MULTILINE)

    assert sorted(rows) == sorted(EVENTS)


def test_the_folders_of_the_postman_collection_are_those_that_it_has() -> None:
    collection = json.loads((ROOT / "docs" / "postman" / "collection.json").read_text())
    named = re.findall(r"\*(.+?)\*", section("Postman").replace("\n", " "))

    folders = [folder["name"] for folder in collection["item"]]
    assert len(named) == len(folders)
    assert all(folder.startswith(name) for name, folder in zip(named, folders, strict=True))


class Quote(NamedTuple):
    """Numbers of the lessons, and where they come from: a paragraph or a row of a table that has these words."""

    document: str
    words: str
    numbers: str


QUOTES = [
    Quote("docs/reliability.md", "npm run simulate -- --outage`, on", "3,000"),
    Quote("docs/reliability.md", "| the payment gateway | 24", "24.2"),
    Quote("docs/reliability.md", "an operator redrives the dead letters", "3.2"),
    Quote("docs/reliability.md", "| orders |", "300"),
    Quote("docs/reliability.md", "calls of AWS by the functions", "7,403 1,031"),
    Quote("docs/reliability.md", "function processes killed", "23"),
    Quote("docs/reliability.md", "published and 874 in the audit log", "874"),
    Quote("docs/reliability.md", "--seeds 2000`, seeds", "2,000 20 498,516"),
    Quote("docs/reliability.md", "bugs of the list are caught", "102"),
    Quote("docs/sensitivity.md", "| the last payment wins |", "1"),
    Quote("CONTRIBUTING.md", "a new consumer of an event", "4"),
    Quote("docs/performance.md", "| approved |", "15 3 9"),
    Quote("docs/performance.md", "| auditLogger | 3 |", "3"),
    Quote("docs/performance.md", "| order: calls |", "15"),
    Quote("docs/performance.md", "1,000 orders |", "1,000 100,000"),
    Quote("docs/performance.md", "an idempotency table per consumer", "10.27 48"),
    Quote("docs/costs.md", "| without e-mail |", "21.54"),
    Quote("docs/costs.md", "| with an e-mail each |", "121.54"),
    Quote("docs/costs.md", "| **sum** | each month |  | 1.31", "8.57"),
    Quote("docs/scale.md", "| SES in its sandbox: e-mails | 1 |", "1"),
    Quote("docs/scale.md", "| `notificationConcurrency` | 2 |", "19"),
    Quote("docs/scale.md", "| Lambda in a new account: concurrency | 10 |", "28"),
]


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:[,.]\d+)*", text))


@pytest.mark.parametrize("quote", QUOTES, ids=lambda quote: quote.words.strip("| "))
def test_a_number_of_the_lessons_is_in_the_document_that_it_comes_from(quote: Quote) -> None:
    units = re.split(r"\n(?=\|)|\n\n", (ROOT / quote.document).read_text())
    found = [unit for unit in units if quote.words in unit.replace("\n", " ")]

    assert any(numbers(quote.numbers) <= numbers(unit) for unit in found), found
    assert numbers(quote.numbers) <= numbers(section("Lessons, with numbers"))


def test_each_number_of_the_lessons_is_quoted_from_somewhere() -> None:
    prose = re.sub(r"\[[^\]]*\]\([^)]*\)", "", section("Lessons, with numbers"))

    assert numbers(prose) - numbers(" ".join(quote.numbers for quote in QUOTES)) == set()

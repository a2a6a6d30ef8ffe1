"""The check of words finds each phrase that we avoid, in everything that people read and nowhere else."""

from pathlib import Path

import pytest

from tools import words
from tools.words import RULES, Finding, findings, main

PHRASES = (
    "The event is published anew.",
    "The reconciler takes up an order.",
    "Notification tells the customer.",
    "The customer was told.",
    "The trail tells of a refund.",
    "There is no news of the order.",
    "SES refuses the letter.",
    "The customer hears by post.",
    "The API answered with 500.",
    "This is the gateway's answer.",
    "The event is taken by AuditLogger.",
    "The order bears it out.",
    "The reason stands in the log.",
    "A redrive sends the event on its way again.",
    "Meanwhile the rule sleeps.",
    "The table puts the writes in a row.",
    "Nobody moves the status.",
    "The step passes the baton on.",
    "The cancellation is put off.",
    "The online checker was the witness.",
    "One function was not heard from.",
    "The next start goes on with the kept state.",
    "SQS moves it at last.",
    "The finding is meant so.",
    "Whoever asks gets an answer.",
    "Somebody else is sending it.",
    "Ask SNS what hangs on the topic.",
    "The write shows who comes second.",
    "Use what fits.",
    "The queue keeps what a function fails on.",
    "The queue keeps what can't be delivered.",
    "This is an event that is not true.",
)


@pytest.mark.parametrize("text", PHRASES)
def test_each_phrase_is_found_in_a_document(text: str) -> None:
    [found] = findings("docs/page.md", f"A heading\n\n{text}\n")
    assert found.line == 3


def test_there_is_a_phrase_for_each_rule() -> None:
    replacements = [found.instead for text in PHRASES for found in findings("page.md", text)]
    assert replacements == [instead for _, instead in RULES]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("page.md", "The customer was\ntold.", 1),
        ("page.md", "```\nthe news\n```\n\nThe news.", 5),
        ("code.py", "x = 1\n# The news.\n", 2),
        ("code.py", '"""A docstring.\n\nThe news.\n"""\n', 3),
        ("code.py", 'raise ValueError(f"the news of {order}")\n', 1),
        ("test_code.py", "\n\ndef test_the_news_is_shown() -> None:\n    pass\n", 3),
        ("page.js", "// The news.", 1),
        ("page.js", "\nh('p', {}, 'The news.')", 2),
        ("page.js", "say(`${order} is news`)", 1),
        ("page.css", "/* The\n   news. */", 2),
        ("serverless.yml", "a: 1 # the news", 1),
        ("bug.patch", "Subject: the news is lost\nGuarantee: none\n--- a/x\n", 1),
    ],
)
def test_a_phrase_is_found_wherever_people_read(name: str, text: str, line: int) -> None:
    assert [found.line for found in findings(name, text)] == [line]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "A dead letter waits, and many dead letters. Two orders are told apart by their numbers."),
        ("page.md", "Run `news` and\n\n```\nnews = whoever()\n```\n"),
        ("page.md", "Your parcel is on its way. Use letters, digits and hyphens, with a letter first."),
        ("code.py", "news = whoever  # fine\nletters[news]\n"),
        ("code.py", 'f"{news}: done"\n'),
        ("page.js", "letters.map((news) => `${whoever}`)"),
        ("page.md", "The API's response answers the question. POST /orders places an order."),
        ("bug.patch", "Subject: a bug\nGuarantee: a guarantee\n-# the news\n"),
    ],
)
def test_identifiers_and_plain_english_pass(name: str, text: str) -> None:
    assert findings(name, text) == []


def test_the_command_prints_the_place_the_phrase_and_the_replacement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(words, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text("No news.\n")
    (tmp_path / "other.md").write_text("No notification.\n")
    assert main(["page.md", "other.md"]) == 1
    assert capsys.readouterr().out == "page.md:1: news: write notification; event\n"
    assert main(["other.md"]) == 0


def test_it_reads_code_and_documents_but_not_generated_ones() -> None:
    read = set(words.files())
    assert {"orders/choreography.py", "web/app.js", "serverless.yml", "README.md", "package.json", ".ci/run"} <= read
    assert not {"docs/openapi.json", "docs/asyncapi.yaml", "tools/words.py", "tools/locks/dev.txt"} & read


def test_a_finding_sorts_by_its_line() -> None:
    assert findings("page.md", "anew\n\nnews")[0] == Finding(1, "anew", "again; republish")

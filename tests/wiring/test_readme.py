"""README, guides and docs say what is true: their commands exist, their links lead somewhere, their tables hold."""

import json
import re
from pathlib import Path

import pytest

from orders.events import EVENTS
from tests.rights import listed
from tests.tools.checkout import longest_stage
from tools import topology
from tools.checkout import ROOT
from verification import matching

README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = json.loads((ROOT / "package.json").read_text())["scripts"]
CODE = "".join(
    file.read_text()
    for pattern in ("tools/setup.mjs", "local/*/*.py", "tools/*.js", "operations/*.py")
    for file in ROOT.glob(pattern)
)
GUESSED = (
    r"\banew\b",  # again
    r"\bfor ever\b",  # forever
    r"\bbears? out\b",  # matches
    r"\btaken by\b",  # consumed by
    r"\bhands? (?:it |them )?along\b",  # publishes the next event
    r"\bstands? (?:in|on) (?!for\b)",  # is listed in, is stored on
    r"\bt(?:old|ells?) (?:the|its|their|a) customers?\b",  # notified, notifies
    r"\bhears? (?:of|its|the)\b",  # receives
    r"\bwhat (?:hangs on|comes last|can't be delivered)\b",  # a name in place of a riddle
    r"\bwho comes (?:last|second)\b",
)
"""A word or phrase → in the comment, the one to use."""
PUBLISHERS = {
    "order-processing.orders": "OrderService, Reconciler",
    "order-processing.payment": "PaymentProcessing",
    "order-processing.fulfillment": "Fulfillment",
}


def rows(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    below = README.split(f"## {heading}\n", 1)[1]
    lines = [line for line in below.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_readme_shows_an_animation_that_is_no_burden() -> None:
    """`npm run browser:animation` films it."""
    [(text, name)] = re.findall(r"!\[(.+)\]\((docs/\S+\.gif)\)", README)
    animation = (ROOT / name).read_bytes()

    assert animation.startswith(b"GIF89a")
    assert animation.count(b"\x21\xf9\x04") > 20  # pictures: each begins with its graphic control extension
    assert b"NETSCAPE2.0" in animation  # it begins again
    assert len(animation) < 1_500_000
    assert len(text.split()) > 8  # for readers who do not see it


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_each_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", document.read_text())

    assert [link for link in links if not (document.parent / link).exists()] == []


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_each_link_to_a_section_leads_to_its_heading(document: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", document.read_text())

    assert [
        f"{file}#{anchor}"
        for file, anchor in links
        if anchor not in anchors(document.parent / file if file else document)
    ] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_each_npm_command_exists(document: Path) -> None:
    text = document.read_text()
    named = set(re.findall(r"npm run ([a-z:-]+)", text)) | set(re.findall(r"npm (start|test)\b", text))

    assert named - set(SCRIPTS) == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_each_document_uses_the_words_of_the_field(document: Path) -> None:
    """Words that readers would have to guess, or could not search for in AWS's documentation."""
    text = re.sub(r"`[^`]*`", "", document.read_text())  # names of tests and messages stay as they are

    assert [found for pattern in GUESSED for found in re.findall(pattern, text, re.IGNORECASE)] == []


def test_the_longest_stage_is_the_one_that_the_guard_lets_through() -> None:
    """By the name that README gives the service: another one leaves a stage more characters, or fewer."""
    assert f"at most {longest_stage('order-processing')} characters" in README


def test_each_command_of_a_user_is_explained() -> None:
    documented = README + (ROOT / "CONTRIBUTING.md").read_text() + (ROOT / "docs" / "blog.md").read_text()

    for name in (
        "start",
        "test",
        "check",
        "clean",
        "deploy",
        "info",
        "remove",
        "dlq",
        "ledger",
        "replay",
        "notebooks",
        "preflight",
        "smoke",
    ):
        assert re.search(rf"npm (run )?{name}\b", documented), name


def test_the_table_of_events_is_the_choreography() -> None:
    table = {row[0].strip("`"): (row[1], {name.strip() for name in row[2].split(",")}) for row in rows("The events")}

    assert table.keys() == EVENTS.keys()
    for name, (publishers, consumers) in table.items():
        event = {"detail-type": name, "source": EVENTS[name].source, "detail": {}}
        taken_by = {each[0].upper() + each[1:] for each in matching.consumers(event)} - {"AuditLogger", "OrderFeed"}
        assert (publishers, consumers) == (PUBLISHERS[EVENTS[name].source], taken_by)


def test_each_trouble_is_one_that_the_code_reports() -> None:
    reported = [row[0].strip("`") for row in rows("Troubleshooting") if row[0].startswith("`")]

    assert len(reported) == 11
    for message in reported:
        fixed = re.split(r"\b4566\b|AWS_ENDPOINT_URL|order-processing-dev|us-east-1", message)
        assert all(part.strip() in CODE for part in fixed), message


def test_the_right_to_deploy_covers_every_kind_of_resource() -> None:
    policy = json.loads((ROOT / "docs" / "deploy-policy.json").read_text())
    allowed = {action.partition(":")[0] for each in policy["Statement"] for action in listed(each["Action"])}
    prefixes = {
        "ApiGatewayV2": "apigateway", "Budgets": "budgets", "CloudFront": "cloudfront", "CloudWatch": "cloudwatch",
        "Cognito": "cognito-idp", "DynamoDB": "dynamodb", "Events": "events", "IAM": "iam", "Lambda": "lambda",
        "Logs": "logs", "S3": "s3", "SES": "ses", "SNS": "sns", "SQS": "sqs",
    }  # fmt: skip
    kinds = {resource["Type"].split("::")[1] for resource in topology.resources().values()}

    assert {prefixes[kind] for kind in kinds} <= allowed

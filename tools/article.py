"""What docs/blog.md shows of the code: functions, tables, events and one audit trail. Its cog blocks print them.

`python -m cogapp -r docs/blog.md` writes them again, and `npm run check` compares them.
"""

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from textwrap import dedent

from tools import flow, topology
from tools.checkout import ROOT

_WHEN = {
    "OrderPlacedEvent": "the order is stored",
    "OrderCancelledEvent": "the customer cancelled the order, or its deadline passed",
    "PaymentCompletedEvent": "the card is charged",
    "PaymentFailedEvent": "the card is declined",
    "PaymentRefundedEvent": "a cancelled order's charge is refunded",
    "FulfillmentCompletedEvent": "the parcel is ready, with a tracking id",
}
"""An event → when it is published."""

_ITEMS = {
    "OrdersTable": "an order, with the result of each step",
    "AuditLogTable": "an event, as it was on the bus",
}
"""A table of the main workflow, by its logical id → what its items are."""

_EVIDENCE = ROOT / "tests" / "local" / "recorded" / "approved.json"


def code(path: str, *names: str) -> str:
    """The functions of a file without their docstrings, as a block of Markdown. `Class.method` names a method.

    Raises LookupError where the file has no such function.
    """
    text = (ROOT / path).read_text()
    functions = "\n\n".join(_function(text, name) for name in names)
    return f"```python\n# {path}\n{functions}\n```"


def _function(text: str, name: str) -> str:
    body: Sequence[ast.stmt] = ast.parse(text).body
    node: ast.stmt | None = None
    for part in name.split("."):
        found = (each for each in body if isinstance(each, ast.FunctionDef | ast.ClassDef) and each.name == part)
        node = next(found, None)
        if node is None:
            raise LookupError(f"there is no {name}")
        body = node.body
    assert isinstance(node, ast.FunctionDef), f"{name} is no function"
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    lines = text.splitlines()
    if ast.get_docstring(node):
        docstring = node.body[0]
        del lines[docstring.lineno - 1 : docstring.end_lineno]
    shown = (node.end_lineno or 0) - (len(text.splitlines()) - len(lines))
    return dedent("\n".join(lines[first - 1 : shown]))


def declaration(function: str) -> str:
    """A function's block of serverless.yml, as a block of Markdown."""
    lines = (ROOT / "serverless.yml").read_text().splitlines()
    start = lines.index(f"  {function}:")
    end = next(number for number in range(start + 1, len(lines)) if not lines[number].startswith("   "))
    block = dedent("\n".join(lines[start:end]))
    return f"```yaml\n# serverless.yml\n{block}\n```"


def events() -> str:
    """The table of the events. Raises KeyError for one of which nothing says when it is published."""
    published = {event: [each for each in topology.functions() if event in flow.publishes(each)] for event in _WHEN}
    return _table(
        ["event", "when", "published by", "consumed by"],
        (
            (f"`{event}`", _WHEN[event], _titles(published[event]), _titles(_without_recorders(functions)))
            for event, functions in flow.consumers().items()
        ),
    )


def tables() -> str:
    """The tables with their keys and indexes."""
    every = topology.of_type("AWS::DynamoDB::Table")
    return _table(
        ["table", "key", "indexes", "written by", "an item is"],
        (
            (
                f"`{name.removesuffix('Table')}`",
                _key(every[name]["KeySchema"]),
                "; ".join(
                    f"`{index['IndexName']}`: {_key(index['KeySchema'])}"
                    for index in every[name].get("GlobalSecondaryIndexes", [])
                ),
                _titles(flow.writers(name)),
                sentence,
            )
            for name, sentence in _ITEMS.items()
        ),
    )


def trail() -> str:
    """The audit trail of a recorded order, oldest event first, with ids cut to eight characters."""
    recorded = json.loads(_EVIDENCE.read_text())["events"]
    return _table(
        ["timestamp", "eventType", "domainEventId", "causationId"],
        (
            (event["timestamp"], event["eventType"], event["domainEventId"][:8], (event["causationId"] or "–")[:8])
            for event in recorded
        ),
    )


def event(detail_type: str) -> str:
    """The `detail` of one of the recorded order's events, as a block of Markdown."""
    recorded = json.loads(_EVIDENCE.read_text())["events"]
    [row] = [each for each in recorded if each["eventType"] == detail_type]
    metadata = {
        "eventId": row["domainEventId"],
        "version": "1",
        "occurredAt": row["timestamp"],
        **{name: row[name] for name in ("correlationId", "causationId", "attempt")},
    }
    return f"```json\n{json.dumps({'metadata': metadata, 'data': row['data']}, indent=2)}\n```"


def _key(schema: Iterable[Mapping[str, str]]) -> str:
    return ", ".join(f"`{key['AttributeName']}`" for key in schema)


def _without_recorders(functions: Iterable[str]) -> list[str]:
    return [function for function in functions if function not in flow.recorders()]


def _titles(functions: Iterable[str]) -> str:
    return ", ".join(topology.title(function) for function in functions)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows))

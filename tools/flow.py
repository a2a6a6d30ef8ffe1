"""The flow of events, from serverless.yml and resources/: the functions, what each publishes, and who consumes it.

`python -m tools.flow` prints it as JSON, as the storefront's config.json has it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tools import topology


def publications(function: str) -> dict[str, list[str]]:
    """Source → the event types that the function's role may publish under it."""
    found: dict[str, list[str]] = {}
    for statement in _statements(function):
        if "events:PutEvents" in _listed(statement["Action"]):
            [condition] = [each for key, each in statement["Condition"].items() if key.endswith("StringEquals")]
            for source in _listed(condition["events:source"]):
                found.setdefault(source, []).extend(_listed(condition["events:detail-type"]))
    return found


def publishes(function: str) -> list[str]:
    """The event types that the function may publish."""
    return [event for events in publications(function).values() for event in events]


def publishers() -> dict[str, list[str]]:
    """Source → the functions that publish under it, in the order of serverless.yml."""
    found: dict[str, list[str]] = {}
    for function in topology.functions():
        for source in publications(function):
            found.setdefault(source, []).append(function)
    return found


def consumers() -> dict[str, list[str]]:
    """Event type → the functions that consume it, in the order of serverless.yml."""
    found: dict[str, list[str]] = {}
    for function in topology.functions():
        for source, events in publications(function).items():
            for event in events:
                reached = {name for _, pattern, name in topology.rules() if _matches(pattern, source, event)}
                found[event] = [name for name in topology.functions() if name in reached]
    return found


def recorders() -> list[str]:
    """The functions that consume every event, whatever its type."""
    return [function for _, pattern, function in topology.rules() if "detail-type" not in pattern]


def writers(table: str) -> list[str]:
    """The functions whose roles may write to a table, by its logical id, in the order of serverless.yml."""
    writes = {"dynamodb:PutItem", "dynamodb:UpdateItem"}
    return [
        function
        for function in topology.functions()
        if any(
            statement.get("Resource") == {"Fn::GetAtt": f"{table}.Arn"} and writes & set(_listed(statement["Action"]))
            for statement in _statements(function)
        )
    ]


def writes_orders(function: str) -> bool:
    """Whether the function's role may write to the table of the orders."""
    return function in writers("OrdersTable")


def asks_the_provider(function: str) -> bool:
    """Whether the function's role may use the payment provider's ledger, and so charge, void and refund."""
    return any(
        statement.get("Resource") == {"Fn::GetAtt": "GatewayLedgerTable.Arn"} for statement in _statements(function)
    )


def described() -> dict[str, Any]:
    """The whole flow, for a page that can't read serverless.yml."""
    functions = {
        name: {"kind": topology.trigger(name), "writesOrders": writes_orders(name)} for name in topology.functions()
    }
    return {"functions": functions, "consumers": consumers(), "publishers": publishers()}


def _statements(function: str) -> Iterator[Mapping[str, Any]]:
    role = topology.service()["functions"][function]["role"]
    for policy in topology.resources()[role]["Properties"]["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def _matches(pattern: Mapping[str, Any], source: str, event: str) -> bool:
    return source in pattern.get("source", [source]) and event in pattern.get("detail-type", [event])


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    print(json.dumps(described()))

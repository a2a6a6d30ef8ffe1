"""serverless.yml and resources/ as data: the tables, the functions' settings, and which function an event reaches."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

import yaml

from tools.checkout import ROOT


class _CloudFormation(yaml.SafeLoader):
    """YAML with CloudFormation's tags: `!Ref X` becomes `{"Ref": "X"}`, `!GetAtt X.Arn` `{"Fn::GetAtt": "X.Arn"}`."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    construct = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence}
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": construct[type(node)](node)}  # type: ignore[operator]


_CloudFormation.add_multi_constructor("!", _intrinsic)


def read(name: str) -> dict[str, Any]:
    return yaml.load((ROOT / name).read_text(), _CloudFormation)  # type: ignore[no-any-return] # a SafeLoader


@cache
def service() -> dict[str, Any]:
    return read("serverless.yml")


@cache
def resources() -> dict[str, Any]:
    """Logical id → resource, of all files in resources/."""
    files = sorted((ROOT / "resources").glob("*.yml"))
    return {name: body for file in files for name, body in read(f"resources/{file.name}")["Resources"].items()}


def of_type(kind: str) -> dict[str, Any]:
    """Logical id → properties, of the resources of one type."""
    return {name: body["Properties"] for name, body in resources().items() if body["Type"] == kind}


def setting(value: Any) -> str:
    """A value of the template as text, with each `${param:name}` as it is by default."""
    parameters = service()["params"]["default"]
    return re.sub(r"\$\{param:(\w+)\}", lambda found: str(parameters[found[1]]), str(value))


def functions() -> list[str]:
    """The names of all functions, as serverless.yml has them."""
    return list(service()["functions"])


def time_out(function: str) -> int:
    """Seconds after which Lambda ends an invocation."""
    return int(service()["functions"][function].get("timeout", service()["provider"]["timeout"]))


def retries(function: str) -> int:
    """How often Lambda repeats an asynchronous invocation that failed."""
    return int(service()["functions"][function]["maximumRetryAttempts"])


def handler(function: str) -> str:
    """The module of a function: `handlers.order_service` for `orderService`."""
    module, _, _ = service()["functions"][function]["handler"].partition(".")
    return str(module.replace("/", "."))


def routes(function: str) -> list[str]:
    """`GET /orders/{orderId}` and the like."""
    found = [event["httpApi"] for event in service()["functions"][function]["events"] if "httpApi" in event]
    return [route if isinstance(route, str) else f"{route['method']} {route['path']}" for route in found]


@cache
def rules() -> list[tuple[str, Mapping[str, Any], str]]:
    """Each rule on the bus: its name, its pattern, and the function that its events reach at last."""
    return [*_rules_of_functions(), *_rules_of_resources()]


def consumers(envelope: Mapping[str, Any]) -> list[str]:
    """The functions that an event on the bus reaches."""
    return [function for _, pattern, function in rules() if matches(pattern, envelope)]


def matches(pattern: Mapping[str, Any], envelope: Mapping[str, Any]) -> bool:
    """Whether EventBridge would match them; moto says so."""
    from moto.events.models import EventPattern  # here: what only reads the template runs without the tests' packages

    return bool(EventPattern.load(json.dumps(pattern)).matches_event(cast(Any, envelope)))


def _rules_of_functions() -> Iterator[tuple[str, Mapping[str, Any], str]]:
    for name, function in service()["functions"].items():
        for event in function.get("events", []):
            if "pattern" in event.get("eventBridge", {}):
                yield f"{name}-rule", event["eventBridge"]["pattern"], name


def _rules_of_resources() -> Iterator[tuple[str, Mapping[str, Any], str]]:
    for name, rule in of_type("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            yield name, rule["EventPattern"], _reached_from(target["Arn"])


def _reached_from(arn: Mapping[str, str]) -> str:
    """The function behind a target: itself, or the reader of the queue that is subscribed to the topic."""
    for name, function in service()["functions"].items():
        if arn == {"Fn::GetAtt": f"{name[0].upper()}{name[1:]}LambdaFunction.Arn"}:
            return str(name)
        if any(event.get("sqs", {}).get("arn") == arn for event in function.get("events", [])):
            return str(name)
    [queue] = [each["Endpoint"] for each in of_type("AWS::SNS::Subscription").values() if each["TopicArn"] == arn]
    return _reached_from(queue)

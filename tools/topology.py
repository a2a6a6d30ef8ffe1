"""serverless.yml and resources/ as data: the parts of the system. Publishers and consumers are in `flow`.

No other file lists functions, triggers, routes or rules.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal

import yaml

from tools.checkout import ROOT

Trigger = Literal["api", "bus", "queue", "schedule"]
Rule = tuple[str, Mapping[str, Any], str]
"""A rule on the bus: its name, its event pattern, and the function that its events reach in the end."""


class _CloudFormation(yaml.SafeLoader):
    """YAML with CloudFormation's tags: `!Ref X` becomes `{"Ref": "X"}`, `!GetAtt X.Arn` `{"Fn::GetAtt": "X.Arn"}`."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    construct = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence}
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": construct[type(node)](node)}  # type: ignore[operator]


_CloudFormation.add_multi_constructor("!", _intrinsic)


def parsed(text: str) -> dict[str, Any]:
    """YAML, CloudFormation's tags included."""
    return yaml.load(text, _CloudFormation)  # type: ignore[no-any-return] # a SafeLoader


def read(name: str) -> dict[str, Any]:
    """A YAML file of the checkout."""
    return parsed((ROOT / name).read_text())


@cache
def service() -> dict[str, Any]:
    """serverless.yml."""
    return read("serverless.yml")


@cache
def resources() -> dict[str, Any]:
    """Logical id → resource, of all files in resources/."""
    files = sorted((ROOT / "resources").glob("*.yml"))
    return {name: body for file in files for name, body in read(f"resources/{file.name}")["Resources"].items()}


def of_type(kind: str) -> dict[str, Any]:
    """Logical id → properties, of the resources of one type."""
    return {name: body["Properties"] for name, body in resources().items() if body["Type"] == kind}


@cache
def dead_letter_outputs() -> tuple[str, ...]:
    """The stack outputs with the URLs of the dead-letter queues: those without a dead-letter queue of their own."""
    files = sorted((ROOT / "resources").glob("*.yml"))
    outputs = {key: each for file in files for key, each in read(f"resources/{file.name}").get("Outputs", {}).items()}
    last = [{"Ref": queue} for queue, body in of_type("AWS::SQS::Queue").items() if "RedrivePolicy" not in body]
    return tuple(sorted(key for key, output in outputs.items() if output["Value"] in last))


# --- settings ---------------------------------------------------------------------------------------------------------


def name() -> str:
    """The service's name, with which the names of stacks and functions begin."""
    return str(service()["service"])


def setting(value: Any, stage: str = "dev") -> str:
    """A value of serverless.yml as text, with the stage's default parameters and the file's own values filled in."""

    def filled(found: re.Match[str]) -> str:
        kind, path = found[1], found[2]
        if kind == "sls":
            return stage
        if kind == "param":
            parameters = service()["params"]
            return str({**parameters["default"], **parameters.get(stage, {})}[path])
        node: Any = service()
        for step in path.split("."):
            node = node[step]
        return setting(node, stage)

    return re.sub(r"\$\{(param|self|sls):([\w.]+)\}", filled, str(value))


def environment(resource_names: Mapping[str, str], stage: str = "local") -> dict[str, str]:
    """The variables of all functions, with a stage's default parameters.

    `resource_names`: logical id → name, for the variables that refer to a resource.
    """
    names = {
        "AWS::Region": setting(service()["provider"]["region"]),
        "AWS::URLSuffix": "amazonaws.com",
        **resource_names,
    }

    def text(value: Any) -> str:
        if not isinstance(value, dict):
            return setting(value, stage)
        if "Ref" in value:
            return names[value["Ref"]]
        return re.sub(r"\$\{([\w:]+)\}", lambda found: names[found[1]], setting(value["Fn::Sub"], stage))

    declared = dict(service()["provider"]["environment"])
    for each in service()["functions"].values():
        declared |= each.get("environment", {})
    return {variable: text(value) for variable, value in declared.items()}


# --- functions --------------------------------------------------------------------------------------------------------


def functions() -> list[str]:
    """The names of all functions, in serverless.yml's order: `orderService` and so on."""
    return list(service()["functions"])


def always_deployed() -> list[str]:
    """The functions of every stage: without those whose role comes with the storefront."""
    on_demand = read("resources/order-feed.yml")["Resources"]
    return [name for name in functions() if service()["functions"][name]["role"] not in on_demand]


def title(function: str) -> str:
    """A function's name as people read it, and as its resources' names begin: `OrderService`."""
    return f"{function[0].upper()}{function[1:]}"


def trigger(function: str) -> Trigger:
    """A function's trigger. A function that consumes events and also has a route is a consumer."""
    events = service()["functions"][function].get("events", [])
    if any("pattern" in event.get("eventBridge", {}) for event in events):
        return "bus"
    for event in events:
        if "httpApi" in event:
            return "api"
        if "sqs" in event:
            return "queue"
        if "schedule" in event.get("eventBridge", {}):
            return "schedule"
    return "bus"


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
    found = [event["httpApi"] for event in service()["functions"][function].get("events", []) if "httpApi" in event]
    return [route if isinstance(route, str) else f"{route['method']} {route['path']}" for route in found]


# --- rules ------------------------------------------------------------------------------------------------------------


@cache
def rules() -> list[Rule]:
    """Every rule on the bus."""
    return [*_rules_of_functions(), *_rules_of_resources()]


def _rules_of_functions() -> Iterator[Rule]:
    for name, function in service()["functions"].items():
        for event in function.get("events", []):
            if "pattern" in event.get("eventBridge", {}):
                yield f"{name}-rule", event["eventBridge"]["pattern"], name


def _rules_of_resources() -> Iterator[Rule]:
    for name, rule in of_type("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            yield name, rule["EventPattern"], _reached_from(target["Arn"])


def _reached_from(arn: Mapping[str, str]) -> str:
    """The function behind a target: itself, or the consumer of the queue that is subscribed to the topic."""
    for name, function in service()["functions"].items():
        if arn == {"Fn::GetAtt": f"{title(name)}LambdaFunction.Arn"}:
            return str(name)
        if any(event.get("sqs", {}).get("arn") == arn for event in function.get("events", [])):
            return str(name)
    [queue] = [each["Endpoint"] for each in of_type("AWS::SNS::Subscription").values() if each["TopicArn"] == arn]
    return _reached_from(queue)

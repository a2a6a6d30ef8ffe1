"""Switches that a notebook turns off and always turns on again: a function's rules, and the payment gateway.

On AWS a changed rule takes effect after a little while (the API reference of DisableRule: "allow a short period of
time"). So switching waits for evidence: whether the switched rule delivers a probe event that a
control rule delivers.
"""

import atexit
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from notebooks import own
from operations.outage import switch_gateway
from operations.stack import Stack

_SETTLED_SECONDS = 60
_QUIET_SECONDS = 1


@contextmanager
def rules_off(stack: Stack, function: str, probe: Callable[[], list[dict[str, Any]]]) -> Iterator[None]:
    """Disable the rules that feed a function, directly or through the topic, for as long as the block runs.

    `probe` returns entries for PutEvents that do no harm: events of an order that has ended. The rules are enabled
    again in any case, even if the kernel is shut down in between.
    """
    events, bus = stack.client("events"), stack.outputs["EventBusName"]
    arn = stack.outputs["OrderNotificationTopicArn"] if function == "notification" else _arn(stack, function)
    names = events.list_rule_names_by_target(TargetArn=arn, EventBusName=bus)["RuleNames"]

    def enable() -> None:
        for name in names:
            events.enable_rule(Name=name, EventBusName=bus)

    atexit.register(enable)
    with _observed(stack, names, probe()) as delivers:
        for name in names:
            events.disable_rule(Name=name, EventBusName=bus)
        try:
            _wait(lambda: not delivers(), f"the rules of {function} to be disabled")
            yield
        finally:
            enable()
            atexit.unregister(enable)
        _wait(delivers, f"the rules of {function} to be enabled")


@contextmanager
def gateway_down(stack: Stack) -> Iterator[None]:
    """Take the simulated payment gateway down for as long as the block runs; it is brought back up in any case."""
    atexit.register(switch_gateway, stack, "up")
    switch_gateway(stack, "down")
    try:
        yield
    finally:
        switch_gateway(stack, "up")
        atexit.unregister(switch_gateway)


@contextmanager
def _observed(stack: Stack, names: list[str], probes: list[dict[str, Any]]) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether the rules deliver now.

    It publishes a probe that one of the rules matches. A control rule, which is always enabled, delivers it to the same
    queue as the observed rule: once the control rule's copy is there, the other one can only be a moment behind.
    """
    events, sqs, bus = stack.client("events"), stack.client("sqs"), stack.outputs["EventBusName"]
    label = own.new_name(stack)
    queue = sqs.create_queue(QueueName=label)["QueueUrl"]
    rules = [events.describe_rule(Name=name, EventBusName=bus) for name in names]
    observed, probe = _matched(events, rules, probes)
    control = events.put_rule(Name=label, EventBusName=bus, EventPattern=observed["EventPattern"])["RuleArn"]
    queue_arn = own.allow_rules(stack, queue, [control, observed["Arn"]])
    targets = {label: "control", observed["Name"]: "observed"}
    for rule, role in targets.items():
        target = {"Id": label, "Arn": queue_arn, "Input": json.dumps({"delivered by": role})}
        events.put_targets(Rule=rule, EventBusName=bus, Targets=[target])

    def received(seconds: int) -> set[str]:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=seconds)
        found = set()
        for message in messages.get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            found.add(json.loads(message["Body"])["delivered by"])
        return found

    def delivers() -> bool:
        while received(0):
            pass  # what an earlier probe left
        events.put_events(Entries=[{**probe, "EventBusName": bus}])
        found: set[str] = set()

        def control_is_there() -> bool:
            found.update(received(1))
            return "control" in found

        _wait(control_is_there, "a probe event")
        return "observed" in found or "observed" in received(_QUIET_SECONDS)

    def remove() -> None:
        for rule in targets:
            events.remove_targets(Rule=rule, EventBusName=bus, Ids=[label])
        events.delete_rule(Name=label, EventBusName=bus)
        sqs.delete_queue(QueueUrl=queue)

    atexit.register(remove)
    try:
        yield delivers
    finally:
        remove()
        atexit.unregister(remove)


def _matched(
    events: Any, rules: list[dict[str, Any]], probes: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first rule that matches a probe, and the probe."""
    for rule in rules:
        for probe in probes:
            event = {"id": "1", "account": "1", "time": "2026-01-31T09:30:00Z", "region": "r", "resources": []}
            event |= {
                "source": probe["Source"],
                "detail-type": probe["DetailType"],
                "detail": json.loads(probe["Detail"]),
            }
            if events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(event))["Result"]:
                return rule, probe
    raise LookupError("none of the rules matches an event of an order that has ended")


def _arn(stack: Stack, function: str) -> str:
    configuration = stack.client("lambda").get_function_configuration(FunctionName=stack.function(function))
    return str(configuration["FunctionArn"])


def _wait(condition: Callable[[], Any], what: str) -> None:
    """Poll until the condition holds. Each poll waits for a message, so there is a pause between polls."""
    end = time.monotonic() + _SETTLED_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {_SETTLED_SECONDS} s for {what}")

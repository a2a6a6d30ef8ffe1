"""Outages of a stage, for a while: take down the payment gateway, or stop the events of a function."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

from operations.stack import Stack

Gateway = Literal["up", "down"]
_FUNCTION, _VARIABLE = "paymentProcessing", "PAYMENT_GATEWAY"


def gateway(stack: Stack, functions: Any = None) -> Gateway:
    """The state of the simulated gateway: a variable of PaymentProcessing. `functions` is a Lambda client to reuse."""
    return "down" if _variables(stack, functions).get(_VARIABLE) == "down" else "up"


def switch_gateway(stack: Stack, to: Gateway) -> None:
    """Take the gateway up or down, from the next event on. Waits until the change takes effect: on AWS some seconds."""
    functions, name = stack.client("lambda"), stack.function(_FUNCTION)
    variables = {**_variables(stack), _VARIABLE: to}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)


@contextmanager
def without_events_for(stack: Stack, function: str) -> Iterator[None]:
    """Disable the rules that lead to a function, such as `fulfillment`; the reconciler later heals the delayed orders.

    Each rule that was enabled is enabled again, whatever happens in between or to another rule.
    """
    events, bus = stack.client("events"), stack.outputs["EventBusName"]
    arn = stack.client("lambda").get_function_configuration(FunctionName=stack.function(function))["FunctionArn"]
    with ExitStack() as restoring:
        for rule in events.list_rule_names_by_target(TargetArn=arn, EventBusName=bus)["RuleNames"]:
            if events.describe_rule(Name=rule, EventBusName=bus)["State"] == "ENABLED":
                restoring.callback(events.enable_rule, Name=rule, EventBusName=bus)
                events.disable_rule(Name=rule, EventBusName=bus)
        yield


def _variables(stack: Stack, functions: Any = None) -> dict[str, str]:
    configuration = (functions or stack.client("lambda")).get_function_configuration(
        FunctionName=stack.function(_FUNCTION)
    )
    return dict(configuration.get("Environment", {}).get("Variables", {}))

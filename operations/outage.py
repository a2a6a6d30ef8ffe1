"""The simulated payment gateway goes down and comes up again: one variable of PaymentProcessing."""

from typing import Literal

from operations.stack import Stack

Gateway = Literal["up", "down"]
_FUNCTION, _VARIABLE = "paymentProcessing", "PAYMENT_GATEWAY"


def gateway(stack: Stack) -> Gateway:
    return "down" if _variables(stack).get(_VARIABLE) == "down" else "up"


def switch_gateway(stack: Stack, to: Gateway) -> None:
    """From the next event on. On AWS a change takes effect in some seconds; until then this waits."""
    functions, name = stack.client("lambda"), stack.function(_FUNCTION)
    variables = {**_variables(stack), _VARIABLE: to}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)


def _variables(stack: Stack) -> dict[str, str]:
    configuration = stack.client("lambda").get_function_configuration(FunctionName=stack.function(_FUNCTION))
    return dict(configuration.get("Environment", {}).get("Variables", {}))

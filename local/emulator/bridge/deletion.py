"""A deleted function: events that wait for it are dropped, and invocations that were still running leave no log.

MiniStack creates a missing log group, so either would bring the log group of a removed stack back. On AWS the
functions' roles may not create one.
"""

from typing import Any

from ministack.services import lambda_svc

from local.emulator.bridge.patching import replace, require

Function = dict[str, Any]
"""MiniStack's record of a function: `config`, `event_invoke_config`, …"""


def install() -> None:
    require(lambda_svc, "_get_func_record_for_ref")
    replace(lambda_svc, "_emit_lambda_logs", while_it_exists)


def exists(function: Function) -> bool:
    """Whether the function of a record is still there."""
    found, _, _ = lambda_svc._get_func_record_for_ref(function["config"]["FunctionArn"])
    return found is not None


def while_it_exists(original: Any) -> Any:
    def emit_lambda_logs(function: Function, *rest: Any, **more: Any) -> None:
        if exists(function):
            original(function, *rest, **more)

    return emit_lambda_logs

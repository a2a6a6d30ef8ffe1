"""A function reaches the APIs of API Gateway at the emulator's URLs.

On AWS each API has a host name of its own, `https://{id}.execute-api.{region}.amazonaws.com`. Here all are below one
path of the emulator. A function's variables with such a URL are rewritten when a process of the function starts.
"""

import os
import re
from typing import Any

from ministack.core import lambda_runtime

from local.emulator.bridge.patching import replace

_ON_AWS = re.compile(r"^(http|ws)s://([a-z0-9]+)\.execute-api\.[^/]+")


def install() -> None:
    replace(lambda_runtime.Worker, "__init__", with_urls_of_the_emulator)


def with_urls_of_the_emulator(original: Any) -> Any:
    def init(worker: Any, name: str, configuration: dict[str, Any], package: bytes) -> None:
        variables = configuration.get("Environment", {}).get("Variables", {})
        environment = {"Variables": {variable: on_the_emulator(value) for variable, value in variables.items()}}
        original(worker, name, {**configuration, "Environment": environment}, package)

    return init


def on_the_emulator(value: str) -> str:
    """A URL of an API on AWS as the emulator's; any other value as it is."""
    here = f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"
    return _ON_AWS.sub(rf"\1://{here}/_aws/execute-api/\2", value)

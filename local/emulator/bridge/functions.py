"""A function's environment: its package, the standard library, and nothing of the emulator's own environment.
And its concurrency: on AWS up to a thousand, on one machine a few, while other invocations wait.

Each AWS call of a function names its caller in the User-Agent, as `app/paymentProcessing-4711`: the function and the id
of its process, for proxies such as the one that injects faults.

MiniStack runs functions with its own interpreter: a module that the package lacks would be found here, and be missing
on AWS only. It also unpacks the package again for every process; here it is unpacked once, so all share its bytecode.
"""

import hashlib
import io
import os
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.emulator.bridge.patching import replace

_BEFORE_ALL_ELSE = """\
import os, sys
os.environ["LAMBDA_TASK_ROOT"] = os.environ["_PACKAGE"]
os.environ["AWS_SDK_UA_APP_ID"] = os.environ["AWS_LAMBDA_FUNCTION_NAME"].rpartition("-")[2] + f"-{os.getpid()}"
os.chdir(os.environ["LAMBDA_TASK_ROOT"])
sys.path[:] = [folder for folder in sys.path if not folder.rstrip("/").endswith(("site-packages", "dist-packages"))]
sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
"""
_EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
_unpacking = threading.Lock()

AT_ONCE = 2 * (os.cpu_count() or 1)
"""Processes of one function. If a burst started one for each event, the machine would do little but start processes."""
_turns: dict[str, threading.BoundedSemaphore] = {}


def install() -> None:
    replace(lambda_runtime, "_detect_runtime_binary", starting_with_the_package_alone)
    replace(lambda_runtime.Worker, "__init__", with_the_package_unpacked)
    replace(lambda_svc, "_execute_function_dispatch", a_few_at_once)


def starting_with_the_package_alone(original: Any) -> Any:
    def detect_runtime_binary(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        return binary, _BEFORE_ALL_ELSE + script if runtime.startswith("python") else script

    return detect_runtime_binary


def with_the_package_unpacked(original: Any) -> Any:
    def init(worker: Any, name: str, configuration: dict[str, Any], package: bytes) -> None:
        variables = configuration.get("Environment", {}).get("Variables", {})
        environment = {"Variables": {**variables, "_PACKAGE": str(unpacked(package))}}
        original(worker, name, {**configuration, "Environment": environment}, _EMPTY_ZIP)

    return init


def unpacked(package: bytes) -> Path:
    """The folder of a package, made when it is first needed."""
    folder = Path(tempfile.gettempdir(), f"package-{hashlib.sha256(package).hexdigest()[:16]}")
    with _unpacking:
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            zipfile.ZipFile(io.BytesIO(package)).extractall(unfinished)
            unfinished.rename(folder)
    return folder


def a_few_at_once(original: Any) -> Any:
    """Let an invocation wait until a process of its function is free. No function invokes another: no deadlock."""

    def dispatch(function: dict[str, Any], configuration: dict[str, Any], *invocation: Any) -> Any:
        turn = _turns.setdefault(configuration["FunctionArn"], threading.BoundedSemaphore(AT_ONCE))
        with turn:
            return original(function, configuration, *invocation)

    return dispatch

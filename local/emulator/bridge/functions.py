"""What a function finds around it: its package, the standard library, and nothing of the emulator's own environment.
And how many of it run at once: on AWS up to a thousand, on one machine a few, while the others wait their turn.

Each call that a function makes of AWS tells in its User-Agent who makes it, as `app/paymentProcessing-4711`: the
function and the id of its process, for whoever stands in between.

MiniStack runs functions on its own interpreter, where what a package misses would be found, and would be missed on AWS
only. It also unpacks the package anew for every process; here each is unpacked once, which leaves its bytecode to all.
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
"""Processes of one function. A burst that started one for each event would keep the machine busy with starting them."""
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
    """The folder of a package, made when it is first asked for."""
    folder = Path(tempfile.gettempdir(), f"package-{hashlib.sha256(package).hexdigest()[:16]}")
    with _unpacking:
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            zipfile.ZipFile(io.BytesIO(package)).extractall(unfinished)
            unfinished.rename(folder)
    return folder


def a_few_at_once(original: Any) -> Any:
    """Let an invocation wait until a process of its function is free. None invokes another: none waits for itself."""

    def dispatch(function: dict[str, Any], configuration: dict[str, Any], *invocation: Any) -> Any:
        turn = _turns.setdefault(configuration["FunctionArn"], threading.BoundedSemaphore(AT_ONCE))
        with turn:
            return original(function, configuration, *invocation)

    return dispatch

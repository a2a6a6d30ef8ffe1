"""A local stack from start to stop, as one context manager."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

from local.emulator.process import emulator
from local.emulator.state import STATE_DIR_VARIABLE, LocalError, State
from local.emulator.waiting import until
from local.storefront.serving import served
from tools.checkout import ROOT

_SLS = ROOT / "node_modules" / ".bin" / "sls"
_STOP_TIMEOUT_SECONDS = 10


Step = Callable[[str], AbstractContextManager[None]]
"""A context manager around each part of the start and stop, which gets its name: for showing progress."""


@contextmanager
def stack(
    state: State,
    port: int,
    *,
    web_port: int | None = None,
    keep: bool = False,
    parameters: Mapping[str, str] | None = None,
    step: Step = lambda _: nullcontext(),
) -> Iterator[dict[str, Any]]:
    """Run the emulator and deploy stage `local` to it; yields the content of `stack.json`. Raises LocalError.

    With a `web_port` it serves the storefront as well; with `keep` it continues with the kept state, and keeps it.
    Parameters are those at the top of serverless.yml.
    """
    with ExitStack() as running:
        with step("Starting the embedded AWS"):
            running.enter_context(emulator(state, port, web_port=web_port, keep=keep))
        with step("Deploying serverless.yml to it"):
            _deploy(state, parameters or {})
        if web_port:
            sockets = _read(state)["endpointUrl"].replace("http", "ws", 1)
            running.enter_context(served(state, web_port, sockets=sockets))
        yield _read(state)
        with step("Stopping the embedded AWS"):
            running.close()


def _deploy(state: State, parameters: Mapping[str, str]) -> None:
    """`sls deploy --stage local`; its plugin then writes `stack.json`."""
    if not _SLS.exists():
        raise LocalError("the Serverless Framework is not set up here; npm start does that")
    command = [str(_SLS), "deploy", "--stage", "local"]
    command += [f"--param={name}={value}" for name, value in parameters.items()]
    with state.deploy_log.open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, STATE_DIR_VARIABLE: str(state.folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own: sls runs the builder, and that runs pip
        )
    try:
        failed = process.wait() != 0
    finally:
        _end(process)
    if failed:
        lines = [line for line in state.deploy_log.read_text().splitlines() if line.strip()]
        raise LocalError("\n".join(["the deploy failed:", *lines[-8:], f"(the whole log: {state.deploy_log})"]))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the rest of a process group, as Ctrl-C would: pip and the builder then clean up."""
    if _is_gone(process):
        return
    try:
        with suppress(ProcessLookupError, PermissionError):  # gone in the last moment
            os.killpg(process.pid, signal.SIGINT)
        until(lambda: _is_gone(process), seconds=_STOP_TIMEOUT_SECONDS, what="the end of the deploy")
    except LocalError:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_gone(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # a process that ended still exists until its exit code was read
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):  # macOS raises the second if only zombies are left
        return True
    return False


def _read(state: State) -> dict[str, Any]:
    description: dict[str, Any] = json.loads(state.stack.read_text())
    return description

"""The emulator as a process: start it, wait until it answers, stop it and everything that it started."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from local.state import LocalError, State, write
from local.waiting import until

HOST = "127.0.0.1"
REGION = "us-east-1"
_CHECKOUT = Path(__file__).parent.parent
_START_SECONDS = 60
_STOP_SECONDS = 10


@contextmanager
def emulator(state: State, port: int) -> Iterator[dict[str, Any]]:
    """Run the emulator for as long as the block lasts; yields what `emulator.json` says.

    Raises LocalError where one runs already with this state, where the port is taken, or where it does not start.
    """
    _refuse_a_second(state)
    _refuse_a_taken(port)
    state.temporary.mkdir(parents=True, exist_ok=True)
    description: dict[str, Any] = {
        "endpointUrl": f"http://{HOST}:{port}",
        "region": REGION,
        "accessKeyId": "AKIALOCALADMINISTRATOR",
        "secretAccessKey": secrets.token_urlsafe(30),
    }
    with state.emulator_log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.bridge"],
            cwd=_CHECKOUT,
            env=_environment(state, port, description),
            stdin=subprocess.PIPE,  # the emulator ends when this end closes, however we end
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours: we stop the emulator when we are done with it
        )
    try:
        description["pid"] = process.pid
        until(
            lambda: process.poll() is not None or answers(description["endpointUrl"]),
            seconds=_START_SECONDS,
            what="the emulator's first answer",
        )
        if process.poll() is not None:
            raise LocalError(
                f"the emulator did not start: {_last_line(state.emulator_log)} (all: {state.emulator_log})"
            )
        write(state.emulator, description)
        yield description
    finally:
        state.stack.unlink(missing_ok=True)
        state.emulator.unlink(missing_ok=True)
        _stop(process)


def answers(endpoint_url: str) -> bool:
    """Whether an emulator answers there."""
    try:
        with urllib.request.urlopen(f"{endpoint_url}/_ministack/health", timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _environment(state: State, port: int, description: dict[str, Any]) -> dict[str, str]:
    """The user's environment without AWS settings and proxies, and with what keeps the emulator to itself."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and not name.lower().endswith("_proxy")
    }
    return {
        **mine,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": description["accessKeyId"],
        "AWS_SECRET_ACCESS_KEY": description["secretAccessKey"],
        "MINISTACK_REGION": REGION,
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",  # retries after 1 and 2 seconds; on AWS minutes
        "IOT_MTLS_ENABLED": "0",  # not ours, and they take ports
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(state.folder / "emulator"),
        "TMPDIR": str(state.temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _refuse_a_second(state: State) -> None:
    if not state.emulator.exists():
        return
    running = state.read_emulator()
    if answers(running["endpointUrl"]):
        raise LocalError(
            f"a local stack is already running at {running['endpointUrl']}; use it, or press Ctrl-C in its terminal"
        )
    state.emulator.unlink()
    state.stack.unlink(missing_ok=True)


def _refuse_a_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LocalError(f"port {port} is in use; take another: npm start -- --port {port + 100}") from error


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the emulator to stop, then end its whole process group: no function of it may outlive it."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        with suppress(ProcessLookupError):  # nobody is left, as it should be
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdin:
            process.stdin.close()

"""The emulator as a process: start it, wait until it responds, stop it and everything that it started."""

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.emulator import keeping
from local.emulator.ports import in_use, is_taken
from local.emulator.state import LocalError, State, write
from local.emulator.waiting import until
from operations.loopback import HOST
from operations.region import default_region
from tools.checkout import ROOT

_START_TIMEOUT_SECONDS = 60
_INHERITED = ("PATH", "LD_LIBRARY_PATH")
_around_proxies = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def emulator(state: State, port: int, *, web_port: int | None = None, keep: bool = False) -> Iterator[dict[str, Any]]:
    """Run the emulator for as long as the block lasts; yields the content of `emulator.json`.

    `web_port` is the one that the storefront will need. With `keep` it continues with the kept state, and keeps its own
    when the block ends. Raises LocalError if an emulator runs already with this state, if a port is taken, or if the
    emulator does not start.
    """
    with _alone(state):
        for wanted in filter(None, (port, web_port)):
            if is_taken(wanted):
                raise LocalError(in_use(wanted))
        if keep:
            keeping.prepare(state, port)
        shutil.rmtree(state.temporary, ignore_errors=True)  # of one that was killed
        state.temporary.mkdir(mode=0o700)  # the key that signs the tokens is in it
        description: dict[str, Any] = {
            "endpointUrl": f"http://{HOST}:{port}",
            "region": default_region(),  # osls deploys to no other
            "accessKeyId": "AKIALOCALADMINISTRATOR",
            "secretAccessKey": secrets.token_urlsafe(30),
        }
        if web_port:
            description["webUrl"] = f"http://{HOST}:{web_port}/"
        with state.emulator_log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "local.emulator.bridge"],
                cwd=ROOT,
                env=_environment(state, port, description) | (keeping.environment(state) if keep else {}),
                stdin=subprocess.PIPE,  # the emulator ends when this end closes, however we end
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours: we stop the emulator when we are done with it
            )
        try:
            description["pid"] = process.pid
            until(
                lambda: process.poll() is not None or (responds(description["endpointUrl"]) and _is_ours(description)),
                seconds=_START_TIMEOUT_SECONDS,
                what=f"the emulator's first response (its log: {state.emulator_log})",
            )
            if process.poll() is not None:
                if is_taken(port):  # by another process, meanwhile
                    raise LocalError(in_use(port))
                raise LocalError(f"the emulator did not start: {_last_line(state.emulator_log)}")
            write(state.emulator, description)
            yield description
            if keep:  # not where an error, or a stop in the middle of the deploy, has ended the block
                keeping.save(process, state)
        finally:
            state.stack.unlink(missing_ok=True)
            state.emulator.unlink(missing_ok=True)
            _stop(process)
            shutil.rmtree(state.temporary, ignore_errors=True)


def responds(endpoint_url: str) -> bool:
    """Whether an emulator responds there."""
    try:
        with _around_proxies.open(f"{endpoint_url}/_ministack/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _is_ours(description: dict[str, Any]) -> bool:
    """Whether the emulator that responds knows our secret: another one may have taken the port meanwhile.

    The request is signed by hand, since a client would fail on a broken AWS configuration of the user.
    """
    url = f"{description['endpointUrl']}/?Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest("GET", url)
    us = Credentials(description["accessKeyId"], description["secretAccessKey"])
    SigV4Auth(us, "sts", description["region"]).add_auth(request)
    try:
        with _around_proxies.open(urllib.request.Request(url, headers=dict(request.headers)), timeout=5):
            return True
    except OSError:
        return False


def _environment(state: State, port: int, description: dict[str, Any]) -> dict[str, str]:
    """Only search paths of the user's environment: MiniStack has over a hundred switches, and functions inherit it."""
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": description["accessKeyId"],
        "AWS_SECRET_ACCESS_KEY": description["secretAccessKey"],
        "MINISTACK_REGION": description["region"],
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",  # retries after 1 and 2 seconds; on AWS minutes
        "IOT_MTLS_ENABLED": "0",  # not ours, and they take ports
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(state.temporary),
        "TMPDIR": str(state.temporary),
        "HOME": str(state.temporary),
    }


@contextmanager
def _alone(state: State) -> Iterator[None]:
    """One emulator per state folder: the lock goes with its process, however that one ends."""
    state.folder.mkdir(parents=True, exist_ok=True)
    with (state.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(_running(state)) from None
        for stale in (state.emulator, state.stack):
            stale.unlink(missing_ok=True)
        yield


def _running(state: State) -> str:
    if not state.emulator.exists():
        return "a local stack is just starting, or stopping, in another terminal"
    emulator = state.read_emulator()
    shop = f", with the storefront at {emulator['webUrl']}" if "webUrl" in emulator else ""
    return (
        f"a local stack is already running at {emulator['endpointUrl']}{shop}; use it, or press Ctrl-C in its terminal"
    )


def _last_line(log: Path) -> str:
    """The last line of a start that failed, and where the whole log is."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1] if lines else 'it printed nothing'} (its log: {log})"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the emulator's whole process group at once: its state is saved by now, and no function may outlive it."""
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says so with the second
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()

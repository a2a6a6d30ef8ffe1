"""The state that `npm start -- --keep` keeps from one start to the next.

The emulator writes its state when it is asked to end, and reads it when it starts. It writes into a separate folder,
which replaces the kept one only when it is complete: after an interrupted end, the previous state is still there.
"""

import shutil
import signal
import subprocess
from pathlib import Path

from local.emulator.state import LocalError, State

_SAVE_TIMEOUT_SECONDS = 60
_COMPLETE = "complete"
"""The file that the bridge writes last."""


def is_kept(state: State) -> bool:
    """Whether there is a state to continue with."""
    return (state.kept / "port").exists()


def prepare(state: State, port: int) -> None:
    """Copy the kept state for the emulator, which changes it. Raises LocalError for a state of another port.

    Its resources have the port in their names: the URLs of its queues, for example.
    """
    if is_kept(state) and (kept_port := (state.kept / "port").read_text()) != str(port):
        raise LocalError(f"the kept state belongs to port {kept_port}: npm start -- --keep --port {kept_port}")
    shutil.rmtree(_draft(state), ignore_errors=True)  # of a start that was killed
    if is_kept(state):
        shutil.copytree(state.kept, _draft(state))
        (_draft(state) / _COMPLETE).unlink(missing_ok=True)
    else:
        _draft(state).mkdir(mode=0o700)  # the key that signs the tokens is in it
    (_draft(state) / "port").write_text(str(port))


def environment(state: State) -> dict[str, str]:
    """MiniStack's switches."""
    files = _draft(state)
    return {
        "PERSIST_STATE": "1",
        "STATE_DIR": str(files / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(files / "s3"),
        "KEPT_WHEN_COMPLETE": str(files / _COMPLETE),
    }


def save(process: "subprocess.Popen[bytes]", state: State) -> None:
    """Have the emulator write its state and end. Raises LocalError if it does not: then the older state stays."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_SAVE_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise LocalError(
            f"the state was not kept: the emulator did not write it in {_SAVE_TIMEOUT_SECONDS} s"
        ) from None
    if not (_draft(state) / _COMPLETE).exists():
        raise LocalError(f"the state was not kept; the emulator's log says why: {state.emulator_log}")
    outdated = state.kept.with_suffix(".outdated")
    shutil.rmtree(outdated, ignore_errors=True)
    if state.kept.exists():
        state.kept.rename(outdated)
    _draft(state).rename(state.kept)
    shutil.rmtree(outdated, ignore_errors=True)


def _draft(state: State) -> Path:
    return state.kept.with_suffix(".draft")

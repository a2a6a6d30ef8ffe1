"""The folder of everything that runs locally, and the two files that describe the running stack.

`emulator.json` exists while the emulator runs: the deploy's plugin reads it. `stack.json` exists while a deployed stack
responds: everything else reads that.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from operations.loopback import is_loopback

STATE_DIR_VARIABLE = "ORDER_PROCESSING_STATE_DIR"


class LocalError(Exception):
    """The local stack can't run; the message is one line that says what to do."""


class State:
    """A state folder: `.local` by default, or the one that ORDER_PROCESSING_STATE_DIR names."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or Path(os.environ.get(STATE_DIR_VARIABLE, ".local"))).resolve()
        self.emulator = self.folder / "emulator.json"
        self.stack = self.folder / "stack.json"
        self.token = self.folder / "token"
        self.postman = self.folder / "postman.json"
        self.emulator_log = self.folder / "emulator.log"
        self.deploy_log = self.folder / "deploy.log"
        self.temporary = self.folder / "tmp"
        self.kept = self.folder / "kept"
        """The state with which `npm start -- --keep` continues the next time."""

    def read_emulator(self) -> dict[str, Any]:
        """The running emulator. Raises LocalError if none runs, or if it is not on this machine."""
        try:
            emulator: dict[str, Any] = json.loads(self.emulator.read_text())
        except FileNotFoundError:
            raise LocalError("no local stack is running; start one with: npm start") from None
        require_loopback(emulator["endpointUrl"])
        return emulator


def write(file: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that only this user can read, completely or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content, indent=2) + "\n")
    draft.replace(file)


def require_loopback(endpoint_url: str) -> None:
    """Raise LocalError unless the endpoint is on this machine."""
    if not is_loopback(endpoint_url):
        raise LocalError(f"{endpoint_url} is not on this machine; stage local talks to nothing else")

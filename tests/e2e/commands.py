"""The operator's commands as processes, beside the running stack."""

import json
import os
import subprocess
import sys

from local.emulator.state import State
from tests.e2e.cloud import Cloud
from tools.checkout import ROOT


def state_of(cloud: Cloud) -> State:
    """The state folder of the running stack."""
    return next(
        State(folder)
        for folder in (ROOT / ".local").glob("test*")
        if (folder / "stack.json").exists()
        and json.loads((folder / "stack.json").read_text())["endpointUrl"] == cloud.stack["endpointUrl"]
    )


def command(cloud: Cloud, *arguments: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
    """`command(cloud, "operations.dlq", "list")`; `answer` is what the operator types."""
    return subprocess.run(
        [sys.executable, "-m", *arguments, "--stage", "local"],
        cwd=ROOT,
        env={**os.environ, "ORDER_PROCESSING_STATE_DIR": str(state_of(cloud).folder), "COLUMNS": "200"},
        input=answer,
        capture_output=True,
        text=True,
    )

"""`npm run notebooks`: JupyterLab on the notebooks, connected to the local stack, which is started if none runs.

Arguments go to JupyterLab: `npm run notebooks -- --no-browser`. With STAGE=dev in the environment none is started.
"""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from local.emulator.state import LocalError, State
from local.launcher.running import stack
from operations.stack import StackUnavailable, find

PORT = 4566


def main() -> int:
    with ExitStack() as running:
        if os.environ.get("STAGE", "local") == "local" and not _is_running():
            print("Starting the local stack for the notebooks …", flush=True)
            running.enter_context(stack(State(), PORT))
        folder = str(Path(__file__).parent)
        command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", *sys.argv[1:], folder]
        return subprocess.run(command).returncode


def _is_running() -> bool:
    try:
        find("local")
    except StackUnavailable:
        return False
    return True


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)

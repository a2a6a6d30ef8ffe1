"""`npm run notebooks`: JupyterLab on the notebooks, connected to the local stack, which is started if none runs."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from local.running import stack
from local.state import LocalError, State
from operations.stack import StackUnavailable, find

PORT = 4566


def main() -> int:
    with ExitStack() as running:
        try:
            find("local")
        except StackUnavailable:
            print("Starting the local stack for the notebooks …", flush=True)
            running.enter_context(stack(State(), PORT))
        command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", str(Path(__file__).parent)]
        return subprocess.run(command).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)

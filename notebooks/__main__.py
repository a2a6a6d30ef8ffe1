"""`npm run notebooks`: open JupyterLab on the first notebook, with the local stack; start one if none is running.

Arguments are passed to JupyterLab: `npm run notebooks -- --no-browser`. With STAGE=dev in the environment, no stack is
started. `npm run notebooks -- --setup` only installs what the notebooks need, and prints how to open them in VS Code.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from local.emulator.state import LocalError, State
from local.launcher.running import stack
from operations.loopback import HOST
from operations.stack import StackUnavailable, find
from tools.checkout import ROOT

PORT = 4566
FIRST = "notebooks/01_your_first_order.ipynb"


def main(arguments: Sequence[str]) -> int:
    if "--setup" in arguments:
        print(in_vs_code(sys.executable))
        return 0
    with ExitStack() as running:
        if os.environ.get("STAGE", "local") == "local" and not _is_running():
            print("Starting the local stack for the notebooks …", flush=True)
            described = running.enter_context(stack(State(), PORT, web_port=PORT + 1))
            print(f"The storefront: {described['webUrl']}", flush=True)
        print("JupyterLab starts. Ctrl-C stops it, and the stack that it started.", flush=True)
        return subprocess.run(jupyter_lab(arguments)).returncode


def jupyter_lab(arguments: Sequence[str]) -> list[str]:
    """Return JupyterLab's command line. Its root directory is the checkout: the notebooks show pictures from docs/.

    It may run as root: it listens on loopback only and requires its token, and all other commands run as root, too.
    """
    options = [f"--ServerApp.ip={HOST}", f"--ServerApp.root_dir={ROOT}", f"--LabApp.default_url=/lab/tree/{FIRST}"]
    options.append("--ServerApp.log_level=WARN")  # its URL is shown all the same
    options.append("--ContentsManager.pre_save_hook=notebooks.saving.before_saving")
    if os.geteuid() == 0:
        options.append("--allow-root")
    return [sys.executable, "-m", "jupyterlab", *options, *arguments]


def in_vs_code(python: str) -> str:
    """Return what to do in VS Code. It finds .venv by itself: nothing is registered outside of the checkout."""
    return f"""The notebooks are set up. In VS Code, with the extensions Python and Jupyter:
  1. run npm start in a terminal
  2. open {FIRST}
  3. Select Kernel > Python Environments > .venv, which is {python}"""


def _is_running() -> bool:
    try:
        find("local")
    except StackUnavailable:
        return False
    return True


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LocalError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)

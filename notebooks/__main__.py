"""`npm run notebooks`: JupyterLab on the first notebook, connected to the local stack, which is started if none runs.

Arguments go to JupyterLab: `npm run notebooks -- --no-browser`. With STAGE=dev in the environment none is started.
`npm run notebooks -- --setup` only installs what the notebooks need, and says how VS Code finds it.
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
            running.enter_context(stack(State(), PORT))
        return subprocess.run(jupyter_lab(arguments)).returncode


def jupyter_lab(arguments: Sequence[str]) -> list[str]:
    """Its command line. Its root is the checkout, since the notebooks show pictures of docs/.

    Root is allowed: JupyterLab is on loopback and wants its token, and all other commands run as root as well.
    """
    options = [f"--ServerApp.ip={HOST}", f"--ServerApp.root_dir={ROOT}", f"--LabApp.default_url=/lab/tree/{FIRST}"]
    options.append("--ContentsManager.pre_save_hook=notebooks.saving.before_saving")
    if os.geteuid() == 0:
        options.append("--allow-root")
    return [sys.executable, "-m", "jupyterlab", *options, *arguments]


def in_vs_code(python: str) -> str:
    """What to do there. VS Code finds .venv by itself: nothing is registered outside of the checkout."""
    return f"""The notebooks are set up. In VS Code, with its extensions Python and Jupyter:
  1. npm start in a terminal
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

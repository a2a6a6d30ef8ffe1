"""uv with the configuration of pip: a mirror or a certificate authority that is set up for pip counts for uv too.

python -m tools.uv pip install …
"""

import os
import re
import subprocess
import sys
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("uv"))
"""Beside this Python, where tools/setup.mjs installs it."""

_VARIABLES = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
_SECTIONS = ("global", "install", ":env:")  # each counts before the ones to its left


def environment() -> dict[str, str]:
    """This process's environment, with pip's settings for uv unless it has its own."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    listed = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
    settings = dict(re.findall(r"^(\S+)='(.*)'$", listed, re.MULTILINE))
    from_pip = {
        variable: settings[f"{section}.{name}"]
        for section in _SECTIONS
        for name, variable in _VARIABLES.items()
        if f"{section}.{name}" in settings
    }
    return {**from_pip, **os.environ}


if __name__ == "__main__":
    os.execve(PROGRAM, [PROGRAM, *sys.argv[1:]], environment())

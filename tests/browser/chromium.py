"""Find the browser. It comes from the system: Playwright's own download is not available everywhere."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "no Chromium: install it (Debian and Ubuntu: sudo apt install chromium), or name it: CHROMIUM=/path/to/chromium"
)


def found() -> str | None:
    """The path of the browser: the one in CHROMIUM, else the first that the system has; None if there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def arguments() -> list[str]:
    """Chromium's options. Its sandbox refuses to run as root, the user of most containers."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []

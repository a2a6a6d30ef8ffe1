"""Where the browser is. It comes from the system: Playwright's own download is not to be had everywhere."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "no Chromium: install it (Debian and Ubuntu: sudo apt install chromium), or name it: CHROMIUM=/path/to/chromium"
)


def found() -> str | None:
    """The path of the browser: the one that CHROMIUM names, else the first that the system has."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def arguments() -> list[str]:
    """Chromium's sandbox refuses to run as root, as which containers run."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []

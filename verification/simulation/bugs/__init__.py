"""Bugs to put into the code on purpose, one patch each, each against a guarantee of the design.

A simulator that finds nothing proves something only if it would have found it: sensitivity.py plants each of these and
lets the simulator look for it.

A patch begins with `Subject:` (the bug) and `Guarantee:`. Where a change of the code makes one fail to apply, plant the
bug by hand, put the output of `git diff` under the two lines, and take your edit back. A patch that is off by some
lines, or whose outermost context changed, still applies: it needs one line of context.
"""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from tools.checkout import ROOT


class Bug(NamedTuple):
    """A seeded bug: its name, the guarantee that it breaks, and its patch."""

    name: str
    guarantee: str
    patch: str

    def plant(self, checkout: Path, *, check_only: bool = False) -> None:
        """Apply the patch to a checkout. Raises LookupError where the code has moved on from under the bug."""
        command = ["git", "apply", "--recount", "-C1", *(["--check"] if check_only else []), "-"]
        # No repository: else git would look for one around the copy, and apply to that.
        environment = {**os.environ, "GIT_DIR": str(checkout / "no-repository")}
        result = subprocess.run(
            command, cwd=checkout, input=self.patch, text=True, capture_output=True, check=False, env=environment
        )
        if result.returncode != 0:
            raise LookupError(f"the patch of {self.name!r} does not apply; refresh it: {result.stderr}")


def _read(file: Path) -> Bug:
    text = file.read_text(encoding="utf-8")
    name, guarantee = (line.partition(": ")[2] for line in text.splitlines()[:2])
    return Bug(name, guarantee, text)


BUGS = tuple(_read(file) for file in sorted((ROOT / "verification" / "simulation" / "bugs").glob("*.patch")))

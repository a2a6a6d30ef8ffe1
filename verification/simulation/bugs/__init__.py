"""The seeded bugs: one patch for each, which breaks a guarantee of the design.

A simulator that finds nothing proves something only if it would find a bug: sensitivity.py plants each of these and
lets the simulator hunt for it.

A patch begins with `Subject:` (the bug) and `Guarantee:`. If it no longer applies after a change of the code, plant the
bug by hand, put the output of `git diff` under the two lines, and undo your edit. A patch needs one line of context, so
it still applies if lines moved or the outer context changed.
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
        """Apply the patch to a checkout. Raises LookupError if it does not apply to today's code."""
        command = ["git", "apply", "--recount", "-C1", *(["--check"] if check_only else []), "-"]
        # Without a repository, else git would find one above the copy, and apply the patch there.
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


def _number(file: Path) -> int:
    return int(file.name.partition("-")[0])


_PATCHES = (ROOT / "verification" / "simulation" / "bugs").glob("*.patch")
BUGS = tuple(_read(file) for file in sorted(_PATCHES, key=_number))

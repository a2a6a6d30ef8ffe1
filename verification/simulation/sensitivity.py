"""Plants each bug in a copy of the code, and lets the copy's simulator play schedules until a promise breaks."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tools.checkout import ROOT
from verification.simulation.bugs import Bug
from verification.simulation.schedule import run

MOST_SCHEDULES = 600
"""A bug that survives these is not caught."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COPIED = ("orders", "handlers", "operations", "tools", "verification", "resources", "serverless.yml")


class HuntResult(NamedTuple):
    """`caught`: the promise that broke; None if the bug survived."""

    bug: Bug
    caught: str | None
    schedules: int


def hunt(bug: Bug, *, most: int | None = None) -> HuntResult:
    """Plant a bug in a copy, and play schedules there until a promise breaks."""
    with TemporaryDirectory(prefix="order-processing-bug-") as folder:
        for name in _COPIED:
            source, copy = ROOT / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
            else:
                shutil.copy(source, copy)
        bug.plant(Path(folder))
        command = [sys.executable, "-m", "verification.simulation.sensitivity", str(most or MOST_SCHEDULES)]
        result = subprocess.run(
            command, cwd=folder, text=True, capture_output=True, env={**os.environ, "PYTHONPATH": folder}, check=False
        )
    if result.returncode != 0:
        raise RuntimeError(f"{bug.name}: {result.stderr[-2000:]}")
    found = json.loads(result.stdout)
    return HuntResult(bug, found["caught"], found["schedules"])


def hunt_all(bugs: Sequence[Bug], jobs: int, done: Callable[[HuntResult], None]) -> list[HuntResult]:
    """Hunt all bugs, `jobs` at a time, and call `done` after each."""

    def one(bug: Bug) -> HuntResult:
        verdict = hunt(bug)
        done(verdict)
        return verdict

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, bugs))


def report(verdicts: Sequence[HuntResult]) -> str:
    """Return the text of docs/sensitivity.md."""
    lines = [
        "# Bugs planted on purpose",
        "",
        "Each of these bugs breaks a guarantee of the design. When it is planted alone in a copy of the code, the",
        f"simulator must report a broken promise within {MOST_SCHEDULES} schedules of 20 orders, with seeds from 0.",
        "`npm run simulate -- --bugs` writes this table; the patches are in"
        " [verification/simulation/bugs/](../verification/simulation/bugs/).",
        "",
        "| bug | guarantee | caught in schedule | by |",
        "|---|---|---:|---|",
    ]
    for bug, caught, schedules in verdicts:
        seen = _UUID.sub("…", caught).replace("|", "\\|")[:160] if caught else "**survived**"
        lines.append(f"| {bug.name} | {bug.guarantee} | {schedules} | {seen} |")
    return "\n".join(lines) + "\n"


def _play(most: int) -> None:
    """Print the first promise that breaks, as JSON; runs in the copy."""
    for played, seed in enumerate(range(most), start=1):
        outcome = run(seed)
        if not outcome.ok:
            print(json.dumps({"caught": outcome.violations[0], "schedules": played}))
            return
    print(json.dumps({"caught": None, "schedules": most}))


if __name__ == "__main__":
    _play(int(sys.argv[1]))

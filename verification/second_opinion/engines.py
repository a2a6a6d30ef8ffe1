"""The engines from npm, in a folder of their own: nothing else needs them, and iam-simulate's licence is the AGPL.

They are installed from their lock, once, into `.local/second-opinion`.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.emulator.state import LocalError, State

FOLDER = State().folder / "second-opinion"
_SOURCE = Path(__file__).parent / "engines"
_LOCK = "package-lock.json"


def install() -> None:
    """Install the engines. Raises LocalError if npm can't."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    mark, lock = FOLDER / "installed", (_SOURCE / _LOCK).read_text()
    for file in _SOURCE.iterdir():
        shutil.copy(file, FOLDER)
    if mark.exists() and mark.read_text() == lock:
        return
    mark.unlink(missing_ok=True)
    npm = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=FOLDER, capture_output=True, text=True
    )
    if npm.returncode != 0:
        raise LocalError(f"dynalite and iam-simulate can't be installed: {npm.stderr.strip()[-500:]}")
    mark.write_text(lock)


def judged_by_iam(questions: list[dict[str, Any]]) -> list[str]:
    """Each question has `policies`, `action`, `resource` and `context`; engines/iam.mjs describes the results."""
    command = ["node", str(FOLDER / "iam.mjs")]
    ran = subprocess.run(command, input=json.dumps(questions), capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise LocalError(f"iam-simulate failed: {ran.stderr.strip()[-500:]}")
    answers: list[str] = json.loads(ran.stdout)
    return answers


@contextmanager
def dynalite() -> Iterator[str]:
    """The URL of a DynamoDB of one's own."""
    command = ["node", str(FOLDER / "dynalite.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = process.stdout.readline().strip()
        if not port:
            raise LocalError("dynalite does not start")
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()

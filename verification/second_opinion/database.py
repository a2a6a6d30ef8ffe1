"""DynamoDB: the unit stories, and the simulator's evaluator of expressions, on dynalite."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from local.emulator.state import LocalError
from tools.checkout import ROOT
from verification.second_opinion.engines import FOLDER
from verification.second_opinion.opinion import Opinion

TESTS = ("tests/unit", "tests/verification/test_expressions.py", "tests/wiring/test_roles.py")
"""The last one makes every call that a role grants, for `permissions`."""
PROCESSES = "2"


Recorded = tuple[str, str, str]
"""A function, and the action and the resource of a call of its."""


def ask(recorded: list[Recorded]) -> Opinion:
    """Adds to `recorded` what the tests recorded."""
    report = run(TESTS)
    recorded += [(function, action, resource) for function, action, resource in report["rights"]]
    judged = f"{report['passed']} tests with {report['requests']:,} requests on dynalite"
    unasked = [] if report["requests"] else ["no request came to dynalite: the tests ran on something else"]
    return Opinion("DynamoDB", judged, report["failed"] + unasked)


def run(tests: Sequence[str], *options: str) -> Any:
    file = FOLDER / "dynamodb.json"
    file.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "verification.second_opinion.on_dynalite",
        "--opinion",
        str(file),
    ]
    command += ["-p", "no:cacheprovider", "-n", PROCESSES, "--dist", "worksteal", *options, *tests]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if not file.exists():
        raise LocalError(f"the tests did not run on dynalite: {(ran.stderr or ran.stdout).strip()[-1000:]}")
    report = json.loads(file.read_text())
    if ran.returncode != 0 and not report["failed"]:
        report["failed"] = [ran.stdout.strip()[-1000:]]
    return report

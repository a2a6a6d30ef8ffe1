"""A check of the engines: tests/verification/second_opinion plants a mistake of each kind, which must be found."""

import subprocess
import sys

from tools.checkout import ROOT
from verification.second_opinion.opinion import Opinion

TESTS = "tests/verification/second_opinion"


def ask() -> Opinion:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    lines = ran.stdout.strip().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return Opinion(
        "the judges", f"planted mistakes, {lines[-1] if lines else ''}", failed or lines[-5:] if ran.returncode else ()
    )

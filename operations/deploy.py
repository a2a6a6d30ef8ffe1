"""`npm run deploy`: preflight, and then, if nothing blocks, `sls deploy` with the same arguments.

There is nothing to check for stage `local`, `sls deploy function` and `sls deploy list`: they run without preflight.
"""

import argparse
import os
import sys
from typing import Any

from operations.command import Parser, run
from operations.preflight.checks import preflight

_NOT_ALL_OF_IT = {"function", "list", "--help", "-h"}


class _PartOfALine(Parser):
    """Reads the arguments that preflight needs; the rest is for sls."""

    def parse_args(self, *words: Any) -> argparse.Namespace:  # type: ignore[override]
        known: argparse.Namespace = self.parse_known_args(*words)[0]
        return known


def main() -> int:
    """Return preflight's exit code if it blocks; else become sls, which handles Ctrl-C and exits by itself."""
    words = sys.argv[1:]
    if _parser().parse_args(words).stage != "local" and not _NOT_ALL_OF_IT & set(words):
        code = run(_parser(), preflight, deployed=False)
        if code != 0:
            return code
    return os.execvp("sls", ["sls", "deploy", *words])


def _parser() -> Parser:
    """The options, named as in sls."""
    parser = _PartOfALine(prog="npm run deploy --", add_help=False, allow_abbrev=False)
    parser.add_argument("-s", "--stage", default="dev")
    parser.add_argument("-r", "--region")
    parser.add_argument("--aws-profile")
    parser.add_argument("--param", action="append", default=[])
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`npm run deploy`: preflight, and then, where nothing blocks, `sls deploy` with the same arguments.

Stage `local` has nothing to check, and neither have `sls deploy function` and `sls deploy list`: sls gets them at once.
"""

import argparse
import os
import sys
from typing import Any

from operations.command import Parser, run
from operations.preflight.checks import preflight

_NOT_ALL_OF_IT = {"function", "list", "--help", "-h"}


class _PartOfALine(Parser):
    """Reads what preflight wants of a line; the rest is for sls."""

    def parse_args(self, *words: Any) -> argparse.Namespace:  # type: ignore[override]
        known: argparse.Namespace = self.parse_known_args(*words)[0]
        return known


def main() -> int:
    """Ends where preflight ends it; else this process becomes sls, whose exit code and Ctrl-C are its own."""
    words = sys.argv[1:]
    if _parser().parse_args(words).stage != "local" and not _NOT_ALL_OF_IT & set(words):
        code = run(_parser(), preflight, deployed=False)
        if code != 0:
            return code
    return os.execvp("sls", ["sls", "deploy", *words])


def _parser() -> Parser:
    """As sls names them."""
    parser = _PartOfALine(prog="npm run deploy --", add_help=False, allow_abbrev=False)
    parser.add_argument("-s", "--stage", default="dev")
    parser.add_argument("-r", "--region")
    parser.add_argument("--aws-profile")
    parser.add_argument("--param", action="append", default=[])
    return parser


if __name__ == "__main__":
    sys.exit(main())

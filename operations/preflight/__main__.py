"""`npm run preflight`: say what would go wrong with a deploy, before it starts."""

import sys

from operations.command import Parser, run
from operations.preflight.checks import preflight
from operations.stack import DEPLOYED_BY_DEFAULT, add_stage


def main() -> int:
    return run(_parser(), preflight, deployed=False)


def _parser() -> Parser:
    parser = Parser(prog="npm run preflight --", description=__doc__.partition(": ")[2])
    add_stage(parser, default=DEPLOYED_BY_DEFAULT)
    text = "as for npm run deploy; may be repeated"
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`npm start`: the whole system on this machine, with sample orders to look at; `local.launcher.start` shows them.

Exit codes: 0 when all went well, also when it was stopped after it was ready; 1 when something failed, with one line on
stderr; 128 and the signal's number when it was stopped before it was ready.
"""

import argparse
import sys

from local.emulator.state import LocalError
from local.launcher.command import carry_out
from operations.loopback import bypass_proxies


def main() -> int:
    return carry_out(_start)


def _start() -> int:
    arguments = _parser().parse_args()
    port, parameters = _port(arguments.port), dict(map(_parameter, arguments.param))
    bypass_proxies()
    from local.launcher.start import start  # takes a while: so only now, when Ctrl-C no longer prints a traceback

    return start(port, once=arguments.once, keep=arguments.keep, parameters=parameters)


def _parameter(text: str) -> tuple[str, str]:
    """Name and value; the deploy checks whether there is such a parameter. Raises LocalError."""
    name, found, value = text.partition("=")
    if not (name and found):
        raise LocalError(f"--param {text}: write --param name=value")
    return name, value


def _port(text: str) -> int:
    """The emulator's port; the next one is the storefront's. Raises LocalError."""
    if not (text.isdecimal() and 1024 <= int(text) <= 65534):
        raise LocalError(f"--port takes a number from 1024 to 65534, not {text}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="npm start --", description="Run the whole system on this machine.", allow_abbrev=False
    )
    parser.add_argument("--once", action="store_true", help="stop when the sample orders have ended")
    parser.add_argument("--keep", action="store_true", help="keep orders, customers and queues for the next --keep")
    parser.add_argument("--port", default="4566", metavar="N", help="port of the embedded AWS; default: 4566")
    text = "a parameter of the deploy, as for npm run deploy; may be repeated"
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())

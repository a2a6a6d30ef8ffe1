"""`npm run chaos -- --orders N [--seed S]`: everything fails, and yet no promise is broken.

The seed decides who orders what, which calls may fail and how often, and the draws and kills that follow from it. Which
call each of them meets depends on what runs when, so two runs with one seed are alike and not the same.

Exit codes: 0 when every promise was kept, 1 when not or when something else went wrong, 128 and the signal's number
when it was stopped.
"""

import argparse
import secrets
import sys

from local.emulator.ports import free_port
from local.emulator.state import State
from local.launcher.command import carry_out
from local.terminal.output import Terminal
from operations.loopback import bypass_proxies
from tools.checkout import ROOT


def main() -> int:
    arguments = _parser().parse_args()
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(1_000_000)
    return carry_out(lambda: wreak(arguments.orders, seed))


def wreak(orders: int, seed: int) -> int:
    """0 when every promise was kept. Raises LocalError."""
    bypass_proxies()
    from verification.chaos.run import Chaos  # takes a while: only now, when Ctrl-C is no traceback any more

    terminal = Terminal()
    terminal.say(f"Chaos: {orders} orders with seed {seed}")
    chaos = Chaos(terminal, State(ROOT / ".local" / "chaos"), (free_port(), free_port()), orders=orders, seed=seed)
    with chaos() as verdict:
        return verdict()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="npm run chaos --", description="Place orders on the local stack while everything around them fails."
    )
    parser.add_argument("--orders", type=_positive, default=300, metavar="N", help="how many; default: 300")
    parser.add_argument("--seed", type=int, metavar="S", help="decides load, faults and kills; default: a new one")
    return parser


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is no number of orders")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

"""`npm run chaos -- --orders N [--seed S]`: place orders while faults strike, and check that every promise is kept.

The seed decides who orders what, which calls may fail and how often, and when a process is killed. Which call a fault
strikes depends on timing, so two runs with one seed are similar, not identical.

Exit codes: 0 if every promise was kept, 1 if not or after another error, 128 plus the signal's number if stopped.
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
    return carry_out(lambda: run_chaos(arguments.orders, seed))


def run_chaos(orders: int, seed: int) -> int:
    """Return 0 if every promise was kept, else 1. Raises LocalError."""
    bypass_proxies()
    from verification.chaos.run import Chaos  # slow to import; by now Ctrl-C is handled

    terminal = Terminal()
    terminal.say(f"Chaos: {orders} orders with seed {seed}")
    chaos = Chaos(terminal, State(ROOT / ".local" / "chaos"), (free_port(), free_port()), orders=orders, seed=seed)
    with chaos() as verdict:
        return verdict()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="npm run chaos --", description="Place orders on the local stack while faults strike everywhere."
    )
    parser.add_argument("--orders", type=_positive, default=300, metavar="N", help="how many; default: 300")
    parser.add_argument("--seed", type=int, metavar="S", help="decides load, faults and kills; default: a new one")
    return parser


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number of orders")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

"""`npm start`: the whole system on this machine, with sample orders to look at."""

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console

from local import samples
from local.emulator import answers
from local.running import stack
from local.state import LocalError, State
from operations import stack as deployed
from operations.customer import Customer

_TOKEN_SECONDS = 45 * 60  # an ID token is good for an hour


def main() -> int:
    arguments = _parser().parse_args()
    console = Console(highlight=False)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _interrupt)
    stays = False
    try:
        with stack(State(), arguments.port, step=partial(_step, console)) as description:
            cognito = deployed.find("local").client("cognito-idp")
            email = f"customer-{uuid4().hex[:8]}@example.com"
            customer = Customer(cognito, description, description["apiUrl"], email)
            console.print("\nThree orders. The first is slow: each function starts for the first time.\n", style="dim")
            good = samples.place(console, customer)
            samples.show_inbox(console, description["endpointUrl"], customer)
            if arguments.once:
                return 0 if good else 1
            _show_the_way(console, description, customer)
            stays = True
            _stay(description, customer)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 0 if stays else 130
    return 0


def _interrupt(_signal: int, _frame: Any) -> None:
    """Unwind, and let nothing disturb the stop: the emulator must not outlive us."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _step(console: Console, title: str) -> Iterator[None]:
    started = time.monotonic()
    console.print(f"{title} … ", end="")
    try:
        yield
    except BaseException:
        console.print()
        raise
    console.print(f"{time.monotonic() - started:.1f} s", style="dim")


def _show_the_way(console: Console, stack: Mapping[str, Any], customer: Customer) -> None:
    _keep(customer.token)
    text = f"""
[bold]The API is at[/] {stack["apiUrl"]}

List the orders of {customer.email}:
  curl -H "Authorization: Bearer $(cat {_shown(_token_file())})" '{stack["apiUrl"]}/orders'

What next?  the steps of an order     orders/choreography.py
            which function reacts     serverless.yml
            all tests, beside this    npm test
            what could not be handled npm run dlq -- list --stage local

It runs until you press Ctrl-C."""
    console.print(text, soft_wrap=True)  # a line that is folded can't be pasted


def _stay(stack: Mapping[str, Any], customer: Customer) -> None:
    """Wait for a signal, and keep the token fresh meanwhile. Raises LocalError when the emulator ends by itself."""
    renewed = time.monotonic()
    while answers(stack["endpointUrl"]):
        if time.monotonic() - renewed > _TOKEN_SECONDS:
            _keep(customer.sign_in())
            renewed = time.monotonic()
        time.sleep(2)  # between two looks at the emulator
    raise LocalError(f"the embedded AWS has ended by itself; its log: {State().emulator_log}")


def _token_file() -> Path:
    return State().folder / "token"


def _keep(token: str) -> None:
    file = _token_file()
    file.touch(mode=0o600)
    file.write_text(token)


def _shown(file: Path) -> str:
    """The path as the user would type it."""
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def _port(text: str) -> int:
    port = int(text)
    if not 1024 <= port <= 65534:
        raise argparse.ArgumentTypeError("must be from 1024 to 65534")
    return port


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="npm start --", description="Run the whole system on this machine.")
    parser.add_argument("--once", action="store_true", help="stop when the sample orders have ended")
    parser.add_argument("--port", type=_port, default=4566, metavar="N", help="the embedded AWS's; default: 4566")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`npm run break-it`: take the simulated payment gateway down and up, or send an event twice."""

import argparse
import sys

from rich.console import Console

from operations.outage import gateway, switch_gateway
from operations.repetition import UnknownOrder, publish_again
from operations.stack import StackUnavailable, add_stage, find


def main() -> int:
    arguments = _parser().parse_args()
    console = Console(highlight=False)
    try:
        stack = find(arguments.stage)
        if arguments.command == "gateway":
            if arguments.to:
                switch_gateway(stack, arguments.to)
            console.print(f"the payment gateway is {gateway(stack)}")
        else:
            event_id = publish_again(stack, arguments.order)
            console.print(f"OrderPlacedEvent of order {arguments.order} is on the bus again, as {event_id}")
    except (StackUnavailable, UnknownOrder) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="npm run break-it --", description=__doc__.partition(": ")[2])
    commands = parser.add_subparsers(dest="command", required=True)
    text = "show whether the payment gateway is up, or switch it"
    switch = commands.add_parser("gateway", help=text, description=text)
    switch.add_argument("to", nargs="?", choices=("up", "down"))
    text = "put an order's OrderPlacedEvent on the bus once more"
    twice = commands.add_parser("send-twice", help=text, description=text)
    twice.add_argument("order", metavar="ORDER_ID")
    for command in (switch, twice):
        add_stage(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())

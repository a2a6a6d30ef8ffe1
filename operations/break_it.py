"""`npm run break-it`: take the simulated payment gateway down and up, or send an event twice."""

import argparse
import sys

from operations.command import Parser, run
from operations.outage import gateway, switch_gateway
from operations.repetition import full_id, order_id, publish_again
from operations.screen import console, filled
from operations.stack import Stack, add_stage


def main() -> int:
    return run(_parser(), _work)


def _work(stack: Stack, arguments: argparse.Namespace) -> int:
    screen = console(soft_wrap=True)
    if arguments.command == "gateway":
        if arguments.to:
            switch_gateway(stack, arguments.to)
        screen.print(f"the payment gateway is {gateway(stack)}")
    else:
        order = full_id(stack, arguments.order)
        event_id = publish_again(stack, order)
        words = "OrderPlacedEvent of order {order} is on the bus again, as {event}"
        screen.print(filled(words, order=order, event=event_id))
    return 0


def _parser() -> Parser:
    parser = Parser(prog="npm run break-it --", description=__doc__.partition(": ")[2])
    commands = parser.add_subparsers(dest="command", required=True)
    text = "show whether the payment gateway is up, or switch it"
    switch = commands.add_parser("gateway", help=text, description=text)
    switch.add_argument("to", nargs="?", choices=("up", "down"))
    text = "put an order's OrderPlacedEvent on the bus once more"
    twice = commands.add_parser("send-twice", help=text, description=text)
    twice.add_argument("order", metavar="ORDER", type=order_id, help="its id, or its number")
    for command in (switch, twice):
        add_stage(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`npm run dlq`: show the dead letters and why they failed, redrive them, or delete them."""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing

from botocore.exceptions import ClientError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from operations.command import Parser, ask, run
from operations.dead_letters import DeadLetter, Undeleted, Undelivered, dead_letters, purge, redrive
from operations.healing import OrderNow, OrdersUnread, orders_now
from operations.screen import console, filled, progress
from operations.stack import Stack, add_stage
from operations.streams import print_error, printable

_WIDE = 150
"""From this many columns on, a dead letter fits on one line, with the whole id of its order."""
_NARROW_COLUMNS = {"event ─▶ failed at": 25, "order now": 14}
"""The widest that these columns of the table get below that: an event's name, and a status."""


def main() -> int:
    return run(_parser(), _work)


def _work(stack: Stack, arguments: argparse.Namespace) -> int:
    screen = console()
    with progress(screen, "reading the dead letters") as read:
        letters = dead_letters(stack, read)
    match arguments.command:
        case "redrive":
            return _redrive(screen, stack, letters)
        case "purge":
            _show(screen, stack, letters)
            return _purge(screen, stack, letters, confirmed=arguments.yes)
        case _:
            return _show(screen, stack, letters)


def _redrive(screen: Console, stack: Stack, letters: Sequence[DeadLetter]) -> int:
    seen, failures = set(), []
    try:
        with progress(screen, "redriving", len(letters)) as done, closing(redrive(stack, letters)) as delivered:
            for letter in delivered:
                seen.add(letter.key)
                screen.print(_line("[green]✓[/] {event} of order {order} ─▶ {consumer}", screen, stack, letter))
                done(len(seen))
    except Undelivered as error:
        failures = error.failures
    except KeyboardInterrupt:
        _say_what_was_done(f"at least {len(seen):,} of {len(letters):,} were delivered again and deleted")
        raise
    for letter, why in failures:
        screen.print(_line("[red]✗[/] {event} of order {order} ─▶ {consumer}", screen, stack, letter))
        print_error(f"{letter.event_type} of order {letter.order_id} stays in the queue: {why}")
    screen.print(f"{len(seen):,} delivered again" + (f", {len(failures):,} left in the queue" if failures else ""))
    if seen:
        again = f"npm run dlq -- list --stage {stack.stage}"
        screen.print(f"events that fail again are back after a few minutes: {again}", soft_wrap=True)
    seen |= {letter.key for letter, _ in failures}
    return 1 if _others_were_faster(len(letters) - len(seen)) or failures else 0


def _purge(screen: Console, stack: Stack, letters: Sequence[DeadLetter], *, confirmed: bool) -> int:
    if letters and not confirmed and ask("Delete them all, for good? Type yes: ").strip() != "yes":
        print("nothing was deleted")
        return 1
    deleted = 0
    try:
        with progress(screen, "deleting", len(letters)) as done:

            def count(number: int) -> None:
                nonlocal deleted
                deleted = number
                done(number)

            deleted = purge(stack, letters, count)
    except Undeleted as error:
        print(f"{error.deleted:,} deleted")
        print_error(error)
        return 1
    except KeyboardInterrupt:
        _say_what_was_done(f"at least {deleted:,} of {len(letters):,} were deleted")
        raise
    print(f"{deleted:,} deleted")
    return 1 if _others_were_faster(len(letters) - deleted) else 0


def _say_what_was_done(what: str) -> None:
    print_error(f"{what}; the others are still there, and visible again within minutes. Repeat the command to continue")


def _others_were_faster(gone: int) -> bool:
    if gone:
        print_error(f"{gone:,} were no longer there: redriven, deleted, or held by somebody else")
    return gone > 0


def _show(screen: Console, stack: Stack, letters: Sequence[DeadLetter]) -> int:
    """Show each dead letter and the state of its order. If the orders can't be read, show the rest and return 1."""
    orders: Mapping[str, OrderNow] | None = None
    unread: Exception | None = None
    try:
        with progress(screen, "reading their orders") as read:
            orders = orders_now(stack, {letter.order_id for letter in letters}, read)
    except (ClientError, OrdersUnread) as error:
        unread = error
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("event ─▶ failed at", "order", "order now", "reason"):
        table.add_column(name, max_width=None if screen.width >= _WIDE else _NARROW_COLUMNS.get(name))
    for letter in letters:
        path = f"{letter.event_type} ─▶ {_consumer(stack, letter)}"
        row = (path, _number(screen, letter), _now(letter, orders), letter.reason)
        table.add_row(*map(printable, row))
    if letters:
        screen.print(table)
    screen.print(_sum(letters, orders), soft_wrap=True)
    if unread:
        print_error(f"the orders could not be read: {unread}")
    return 1 if unread else 0


def _now(letter: DeadLetter, orders: Mapping[str, OrderNow] | None) -> str:
    if orders is None:
        return "not read"
    order = orders.get(letter.order_id)
    return f"{'healed' if order.has_healed else 'open'}, {order.status}" if order else "-"


def _sum(letters: Sequence[DeadLetter], orders: Mapping[str, OrderNow] | None) -> str:
    words = f"{len(letters):,} in the dead-letter queues"
    if orders is None or not letters:
        return words
    found = Counter(_now(letter, orders).partition(",")[0] for letter in letters)
    kinds = {"healed": "of orders that have healed since", "open": "of orders that are open", "-": "of no order"}
    return f"{words}: " + ", ".join(f"{found[kind]:,} {what}" for kind, what in kinds.items() if found[kind])


def _line(words: str, screen: Console, stack: Stack, letter: DeadLetter) -> Text:
    order, consumer = _number(screen, letter), _consumer(stack, letter)
    return filled(words, event=letter.event_type, order=order, consumer=consumer)


def _number(screen: Console, letter: DeadLetter) -> str:
    """The order's number, as its customer knows it; on a wide screen the whole id, which other commands accept."""
    return letter.order_id if screen.width >= _WIDE else letter.order_id[:8].upper()


def _consumer(stack: Stack, letter: DeadLetter) -> str:
    """The short name of the function that failed. A redrive delivers a dead letter of Notification to its queue."""
    if letter.target == stack.outputs["NotificationQueueUrl"]:
        return "notification"
    return letter.consumer.removeprefix(stack.function(""))


def _parser() -> Parser:
    parser = Parser(prog="npm run dlq --", description=__doc__.partition(": ")[2])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("list", "show each dead letter, why it failed, and whether its order has healed since"),
        ("redrive", "deliver each dead letter to the function that failed, and delete it"),
        ("purge", "show all dead letters, ask, and delete those that were shown"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        add_stage(command)
        if name == "purge":
            command.add_argument("--yes", action="store_true", help="don't ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`npm run dlq`: what lies in the dead-letter queues and why; send it on its way again; or throw it away."""

import argparse
import sys
from contextlib import closing

from rich.table import Table
from rich.text import Text

from operations.command import Parser, ask, run
from operations.dead_letters import DeadLetter, Undelivered, dead_letters, purge, redrive
from operations.screen import console, filled
from operations.stack import Stack, add_stage
from operations.streams import print_error, printable


def main() -> int:
    return run(_parser(), _work)


def _work(stack: Stack, arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "redrive":
            return _redrive(stack)
        case "purge":
            return _purge(stack, confirmed=arguments.yes)
        case _:
            _show(dead_letters(stack))
            return 0


def _redrive(stack: Stack) -> int:
    screen, count, failures = console(), 0, []
    try:
        with closing(redrive(stack)) as delivered:
            for letter in delivered:
                count += 1
                screen.print(_line("[green]✓[/] {event} of order {order} ─▶ {consumer}", letter))
    except Undelivered as error:
        failures = error.failures
    for letter, why in failures:
        screen.print(_line("[red]✗[/] {event} of order {order} ─▶ {consumer}", letter))
        print_error(f"{letter.event_type} of order {letter.order_id} stays in the queue: {why}")
    screen.print(f"{count} delivered again" + (f", {len(failures)} not" if failures else ""))
    return 1 if failures else 0


def _purge(stack: Stack, *, confirmed: bool) -> int:
    letters = dead_letters(stack)
    _show(letters)
    if letters and not confirmed and ask("Delete them all, for good? Type yes: ").strip() != "yes":
        print("nothing was deleted")
        return 1
    deleted = purge(stack, letters)
    print(f"{deleted} deleted")
    if deleted < len(letters):
        print_error(f"{len(letters) - deleted} were no longer there: redriven, deleted, or held by somebody else")
        return 1
    return 0


def _show(letters: list[DeadLetter]) -> None:
    screen = console()
    if letters:
        table = Table("event", "order", "failed at", "reason")
        for letter in letters:
            table.add_row(*map(printable, (letter.event_type, letter.order_id, letter.consumer, letter.reason)))
        screen.print(table)
    screen.print(f"{len(letters)} in the dead-letter queues")


def _line(words: str, letter: DeadLetter) -> Text:
    return filled(words, event=letter.event_type, order=letter.order_id, consumer=letter.consumer)


def _parser() -> Parser:
    parser = Parser(prog="npm run dlq --", description=__doc__.partition(": ")[2])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("list", "show what could not be handled, and why"),
        ("redrive", "deliver each dead letter to the function that failed on it, and delete it"),
        ("purge", "show all dead letters, ask, and delete those that were shown"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        add_stage(command)
        if name == "purge":
            command.add_argument("--yes", action="store_true", help="don't ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`npm run dlq`: what lies in the dead-letter queues and why; send it on its way again; or throw it away."""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from operations.dead_letters import DeadLetter, dead_letters, purge, redrive
from operations.stack import StackUnavailable, add_stage, find


def main() -> int:
    arguments = _parser().parse_args()
    console = Console()
    try:
        stack = find(arguments.stage)
    except StackUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    match arguments.command:
        case "list":
            _show(console, dead_letters(stack))
        case "redrive":
            count = 0
            for letter in redrive(stack):
                count += 1
                console.print(f"[green]✓[/] {letter.event_type} of order {letter.order_id} ─▶ {letter.consumer}")
            console.print(f"{count} delivered again")
        case "purge":
            _show(console, dead_letters(stack))
            if not arguments.yes and input("Delete them all, for good? Type yes: ") != "yes":
                console.print("nothing was deleted")
                return 1
            console.print(f"{purge(stack)} deleted")
    return 0


def _show(console: Console, letters: list[DeadLetter]) -> None:
    if letters:
        table = Table("event", "order", "failed at", "reason")
        for letter in letters:
            table.add_row(letter.event_type, letter.order_id, letter.consumer, letter.reason)
        console.print(table)
    console.print(f"{len(letters)} in the dead-letter queues")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="npm run dlq --", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("list", "show what could not be handled, and why"),
        ("redrive", "deliver each dead letter to the function that failed on it, and delete it"),
        ("purge", "delete all dead letters, after asking"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        add_stage(command)
        if name == "purge":
            command.add_argument("--yes", action="store_true", help="don't ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())

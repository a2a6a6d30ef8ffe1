"""The command line: `python -m operations --help`."""

import argparse
import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from operations.dead_letters import DeadLetter, dead_letters, redrive
from operations.replay import replay
from operations.stack import StackUnavailable, find


def main() -> int:
    arguments = _parser().parse_args()
    console = Console()
    try:
        stack = find(arguments.stage)
    except StackUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    match arguments.command:
        case "dead-letters":
            _show(console, dead_letters(stack), "waiting in the dead-letter queues")
        case "redrive":
            with console.status("redriving …"):
                delivered = list(redrive(stack))
            _show(console, delivered, "delivered again")
        case "replay":
            console.print("started", replay(stack, arguments.start, arguments.end))
    return 0


def _show(console: Console, letters: list[DeadLetter], what: str) -> None:
    if letters:
        table = Table("event", "order", "for", "reason")
        for letter in letters:
            target = letter.target.rpartition(":")[2].rpartition("/")[2]
            table.add_row(str(letter.event.get("detail-type", "-")), letter.order_id, target, letter.reason)
        console.print(table)
    console.print(f"{len(letters)} {what}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="npm run operate --", description="Look after a deployed stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("dead-letters", "show what could not be handled, and why"),
        ("redrive", "send the dead letters to the consumers that failed on them"),
        ("replay", "put the archived events of a span of time on the bus again"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--stage", default="dev", help="default: dev")
        if name == "replay":
            command.add_argument("--from", dest="start", type=_time, required=True, help="such as 2026-01-31T09:00:00Z")
            command.add_argument("--to", dest="end", type=_time, default=datetime.now(UTC), help="default: now")
    return parser


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())

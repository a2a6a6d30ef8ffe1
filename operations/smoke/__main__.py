"""`npm run smoke`: check a deployed stage as a customer and as an operator, and report the results."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from rich.console import Console

from operations.command import Parser, run
from operations.screen import console, filled
from operations.smoke.report import report
from operations.smoke.story import Seen, clean_up, story
from operations.smoke.visit import Visit
from operations.stack import DEPLOYED_BY_DEFAULT, Stack, add_stage
from operations.streams import print_error

_MARKS = {"passed": "[green]✓[/]", "failed": "[red]✗[/]", "not tried": "–"}


def main() -> int:
    return run(_parser(), _work)


def _work(stack: Stack, arguments: argparse.Namespace) -> int:
    screen, seen = console(soft_wrap=True), []
    visit = Visit(stack, screen, seconds=arguments.seconds, outage=arguments.outage)
    try:
        for each in story(visit):
            seen.append(each)
            _show(screen, each)
    finally:  # also after Ctrl-C
        seen.append(clean_up(visit))
        _show(screen, seen[-1])
    if arguments.report:
        arguments.report.write_text(report(visit, seen), encoding="utf-8")
        screen.print(f"the report is in {arguments.report}")
    counted = Counter(each.result for each in seen)
    screen.print(", ".join(f"{number} {result}" for result, number in counted.items()))
    failed = [each for each in seen if each.result == "failed"]
    if failed:
        print_error(f"{len(failed)} of {len(seen)} checks failed")
    return 1 if failed else 0


def _show(screen: Console, each: Seen) -> None:
    words = _MARKS[each.result] + " {title}: {text} [dim]({seconds} s)[/]"
    screen.print(filled(words, title=each.title, text=each.text, seconds=f"{each.seconds:.1f}"))


def _parser() -> Parser:
    parser = Parser(prog="npm run smoke --", description=__doc__.partition(": ")[2])
    add_stage(parser, default=DEPLOYED_BY_DEFAULT)
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the results as Markdown to publish")
    text = "take the payment gateway down for some minutes: only on a stage that nobody else uses"
    parser.add_argument("--outage", action="store_true", help=text)
    text = "how long each check may take; default: 60 on stage local, 600 on AWS"
    parser.add_argument("--seconds", type=_seconds, metavar="N", help=text)
    return parser


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds; write it like 600")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

"""The form of every operator's command: a parser, and a function of the stack that returns the exit code.

Exit codes: 0 it is done; 1 it failed, with one line on stderr; 2 it was called wrongly; 130 it was stopped by Ctrl-C.
"""

import argparse
import errno
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError

from operations.errors import OperatorError
from operations.stack import Stack, account_of, default_stage, find
from operations.streams import print_error, print_nothing_more, printable, replace_unencodable

INTERRUPTED = 130

Work = Callable[[Stack, argparse.Namespace], int]
Fault = Callable[[argparse.Namespace], str | None]
"""What is wrong with a combination of arguments; None if nothing is."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, and in its help how the command ends."""

    def __init__(self, **options: Any) -> None:
        ends = f"exit codes: 0 done, 1 failed, 2 called wrongly, {INTERRUPTED} stopped by Ctrl-C"
        super().__init__(**{"epilog": ends, **options})

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{printable(message)}; see: {self.prog} --help\n")


def run(parser: Parser, work: Work, fault: Fault = lambda _: None, *, deployed: bool = True) -> int:
    """Parse the command line, find the stack, do the work; return the exit code. A bug in our own code is not hidden.

    `deployed=False` is for work that comes before the first deploy: it gets a stack without outputs.
    """
    replace_unencodable()
    arguments = parser.parse_args()
    if wrong := fault(arguments):
        parser.error(wrong)
    try:
        if arguments.stage is None:
            arguments.stage = default_stage(arguments.region, arguments.aws_profile)
            print_error(f"stage {arguments.stage}; for another one: --stage NAME")
        look = find if deployed else account_of
        code = work(look(arguments.stage, arguments.region, arguments.aws_profile), arguments)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where an error is one line
        return code
    except KeyboardInterrupt:
        print_error("stopped")
        return INTERRUPTED
    except (NoConnection, HTTPClientError) as error:
        whose = "the local stack (is npm start still running?)" if arguments.stage == "local" else "AWS"
        print_error(f"no response from {whose}: {error}")
    except (OperatorError, ClientError, BotoCoreError, ResponseParserError) as error:
        print_error(error)
    except OSError as error:
        print_nothing_more()
        if error.errno not in (errno.EPIPE, errno.EIO):  # a reader that has gone away needs no message
            print_error(f"the output can't be written: {error}")
    return 1


def ask(question: str) -> str:
    """The operator's answer; empty if nobody is there to type one."""
    try:
        return input(question)
    except (EOFError, RuntimeError):  # the input has ended, or was closed from the start
        print()
        return ""


def moment(text: str) -> datetime:
    """A time on the command line, in UTC unless it names another zone. Raises ArgumentTypeError."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write it like 2026-01-31T09:00Z") from None

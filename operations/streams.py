"""What a command reads and prints: any character on any terminal, and data that can't act on it."""

import io
import os
import sys


def replace_unencodable() -> None:
    """Replace characters that the terminal's encoding can't show, or that aren't valid input, instead of failing."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def printable(data: object) -> str:
    r"""Data as one line that can't act on a terminal.

    Shown as escapes (`\x1b`, `\n`, `\u202e`): control characters, line ends, and what turns the direction of text or
    can't be seen.

    >>> printable("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in str(data)
    )


def print_error(message: object) -> None:
    """Print one line on stderr."""
    print(printable(message), file=sys.stderr)


def print_error_lines(message: object) -> None:
    """Print a message of several lines on stderr, such as the last lines of a log."""
    for line in str(message).splitlines():
        print_error(line)


def print_nothing_more() -> None:
    """Nobody reads standard output any more: what is still to be printed, at the exit too, goes nowhere."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

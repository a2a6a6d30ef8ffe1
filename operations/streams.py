"""A command's input and output: any character on any terminal, and data that can't act on the terminal."""

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

    Shown as escapes (`\x1b`, `\n`, `\u202e`): control characters, line ends, and characters that are invisible or
    change the direction of text.

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
    """Discard all further output, at the exit too: nobody reads standard output any more."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

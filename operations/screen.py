"""Printing of our own words and of data from elsewhere: the words may contain markup, the data never does.

console().print(filled("[green]✓[/] {order} is on its way", order=order_id))
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from operations.streams import print_error, printable

_PLACE = re.compile(r"\{(\w+)\}")
_UNWRAPPED = 10_000
"""Columns for any line: a pipe or a file has no width of its own."""
_LINE_INTERVAL = 1_000
"""How many are done between two lines, if there is no terminal for a bar."""


def console(**options: Any) -> Console:
    """A console that prints text as it is: no markup, no `:emoji:`, no guessed colours. Only a terminal wraps lines."""
    made = Console(markup=False, emoji=False, highlight=False, **options)
    if not (made.is_terminal or "width" in options or "COLUMNS" in os.environ):
        made.width = _UNWRAPPED
    return made


def filled(words: str, **data: object) -> Text:
    """Words with rich's markup, and data in their `{places}`; shown literally, in the style of its place."""
    text = Text.from_markup(words, emoji=False)
    places = list(_PLACE.finditer(text.plain))
    pieces = text.divide([edge for place in places for edge in place.span()])
    for number, place in enumerate(places):
        styled = pieces[2 * number + 1]
        shown = Text(printable(data[place[1]]))
        for span in styled.spans:
            shown.stylize(span.style)
        pieces[2 * number + 1] = shown
    return Text("").join(pieces)


@contextmanager
def progress(screen: Console, words: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show the progress of a long command: a bar on a terminal, until it is done; elsewhere a line on stderr per 1,000.

    The command calls the yielded function with how many it has done so far.
    """
    if screen.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=screen, transient=True) as bars:
            task = bars.add_task(words, total=total)
            yield lambda done: bars.update(task, completed=done)
    else:
        said = 0

        def say(done: int) -> None:
            nonlocal said
            if done // _LINE_INTERVAL > said // _LINE_INTERVAL:
                said = done
                print_error(f"{words}: {done:,}" + (f" of {total:,}" if total is not None else ""))

        yield say

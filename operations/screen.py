"""How words of ours and data from elsewhere are printed: the words may be marked up, the data never is.

console().print(filled("[green]✓[/] {order} is on its way", order=order_id))
"""

import re
from typing import Any

from rich.console import Console
from rich.text import Text

from operations.streams import printable

_PLACE = re.compile(r"\{(\w+)\}")


def console(**options: Any) -> Console:
    """A console that takes text as it is: no markup, no `:emoji:`, no colours by guess."""
    return Console(markup=False, emoji=False, highlight=False, **options)


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

"""How the notebooks show what they find: a claim with a ✓, labelled values, a small table, code, an e-mail.

Each is shown as HTML or Markdown, and as plain text where a viewer supports neither.
"""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from IPython.display import display

from tools.checkout import ROOT

_CELL = 'style="text-align:left;vertical-align:top"'


def say(markdown: str, plain: str | None = None, *, display_id: str | None = None, update: bool = False) -> None:
    """Show a line of Markdown, or its plain text where there is no Markdown; `update` replaces an earlier line."""
    bundle = {"text/markdown": markdown, "text/plain": plain or markdown.replace("**", "").replace("`", "")}
    options = {"display_id": display_id, "update": update} if display_id else {}
    display(bundle, raw=True, **options)


def expect(claim: str, is_true: Any) -> None:
    """Show that a claim is true. Raises AssertionError with the claim if it isn't."""
    assert is_true, f"This should be true, but isn't: {claim}"
    say(f"✓ {claim}")


def values(**named: Any) -> None:
    """Show values with their names: `values(status="PLACED", total_amount=8900)`."""
    table([{"": name.replace("_", " "), "value": value} for name, value in named.items()])


class Link(str):
    """A path in the checkout; a table shows it as a link to the file."""

    __slots__ = ()


def table(rows: Iterable[Mapping[str, Any]], *columns: str) -> None:
    """Show rows as a table, with these columns or with those of the first row; a value that a row lacks stays empty."""
    listed = list(rows)
    names = columns or tuple(listed[0] if listed else ["nothing"])
    cells = [[_cell(row.get(name)) for name in names] for row in listed]
    display({"text/html": _html(names, cells), "text/plain": _plain(names, cells)}, raw=True)


def source(thing: Any) -> None:
    """Show the code of a function, class or module, as deployed, with a link to its file."""
    file = Path(inspect.getsourcefile(thing) or "").relative_to(ROOT).as_posix()
    code = inspect.getsource(thing).rstrip()
    say(f"[`{file}`](../{file})\n```python\n{code}\n```", f"{file}\n\n{code}")


def excerpt(path: str, start: str, end: str) -> None:
    """Show a file from the line that begins with `start` up to the one that begins with `end`."""
    text = (ROOT / path).read_text()
    part = text[text.index(f"\n{start}") + 1 : text.index(f"\n{end}")].rstrip()
    kind = "yaml" if path.endswith(".yml") else ""
    say(f"[`{path}`](../{path})\n```{kind}\n{part}\n```", f"{path}\n\n{part}")


def email(html: str, text: str) -> None:
    """Show an e-mail in a frame of its own, so that its styles stay inside, and its text part below."""
    frame = f'<iframe srcdoc="{escape(html)}" sandbox width="100%" height="460"></iframe>'
    part = f"<details><summary>The text part</summary><pre>{escape(text)}</pre></details>"
    display({"text/html": frame + part, "text/plain": text}, raw=True)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items())
    if isinstance(value, list | tuple | set):
        return ", ".join(_cell(each) for each in value)
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    return value if isinstance(value, Link) else str(value)


def _html(names: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th {_CELL}>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td {_CELL}>{_marked_up(each)}</td>' for each in row)}</tr>" for row in cells)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _marked_up(cell: str) -> str:
    return f'<a href="../{escape(cell)}">{escape(cell)}</a>' if isinstance(cell, Link) else escape(cell)


def _plain(names: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [list(names), *cells]
    widths = [max(len(line[number]) for line in lines) for number in range(len(names))]
    return "\n".join(
        "  ".join(each.ljust(width) for each, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )

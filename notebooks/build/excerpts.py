"""The code that built notebooks show in their outputs, and whether it is still in its file."""

import re
from collections.abc import Iterator
from typing import Any

from tools.checkout import ROOT

_EXCERPT = re.compile(r"\[`(?P<file>[^`]+)`\]\([^)]+\)\n```\w*\n(?P<code>.*)\n```", re.DOTALL)


def stale(notebook: Any) -> list[str]:
    """The files of which the notebook's outputs show a part that is not in them any more."""
    return sorted({file for file, code in _excerpts(notebook) if code not in _text(file)})


def _excerpts(notebook: Any) -> Iterator[tuple[str, str]]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            shown = "".join(output.get("data", {}).get("text/markdown", ""))
            if match := _EXCERPT.fullmatch(shown):
                yield match["file"], match["code"]


def _text(file: str) -> str:
    return (ROOT / file).read_text() if (ROOT / file).exists() else ""

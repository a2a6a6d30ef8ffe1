"""What a check found: one line, and where something is wrong the mend, which is a line to type."""

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """`blocked` stops a deploy, `warning` does not."""

    kind: Literal["passed", "warning", "blocked"]
    text: str
    mend: str = ""


def passed(text: str) -> Finding:
    return Finding("passed", text)


def warning(text: str, mend: str = "") -> Finding:
    return Finding("warning", text, mend)


def blocked(text: str, mend: str) -> Finding:
    return Finding("blocked", text, mend)

"""A check's finding: one line, and if something is wrong the fix, which is a command to type."""

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """`blocked` stops a deploy, `warning` does not."""

    kind: Literal["passed", "warning", "blocked"]
    text: str
    fix: str = ""


def passed(text: str) -> Finding:
    return Finding("passed", text)


def warning(text: str, fix: str = "") -> Finding:
    return Finding("warning", text, fix)


def blocked(text: str, fix: str) -> Finding:
    return Finding("blocked", text, fix)

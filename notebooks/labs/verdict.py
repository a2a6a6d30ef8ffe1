"""What a lab says about a result."""

from typing import NamedTuple


class Verdict(NamedTuple):
    right: bool
    hint: str
    """In Markdown: what was seen, and where something is missing, what to look at."""

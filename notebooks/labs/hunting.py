"""The labs of the hunt for a bug."""

from typing import Protocol

from notebooks.labs.verdict import Verdict


class Accusation(Protocol):
    """What `bug_hunt.Hunt.accuse` returns."""

    @property
    def right(self) -> bool:
        """Whether the evidence shows what the function is accused of, and that is the deployed bug."""

    @property
    def hint(self) -> str:
        """The line of evidence, or what to look at."""


def accusation(accused: Accusation) -> Verdict:
    """The hunt has compared the accusation with the evidence already."""
    return Verdict(accused.right, accused.hint)

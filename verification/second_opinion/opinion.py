"""One engine's opinion: a line of summary, and its objections."""

from collections.abc import Sequence
from typing import NamedTuple

SHOWN = 20
"""How many objections are shown; more have a common cause."""


class Opinion(NamedTuple):
    subject: str
    judged: str
    """The checked items, their number, and the engine."""
    objections: Sequence[str] = ()
    absent: str = ""
    """Why the engine is missing; then nothing was checked."""

    def report(self, seconds: float) -> str:
        if self.absent:
            return f"{self.subject:14}  NOT JUDGED: {self.absent}"
        outcome = f"{len(self.objections)} OBJECTIONS" if self.objections else "agreed"
        lines = [f"{self.subject:14}  {self.judged}: {outcome} ({seconds:.0f} s)"]
        lines += [f"    {objection}" for objection in self.objections[:SHOWN]]
        if len(self.objections) > SHOWN:
            lines.append(f"    and {len(self.objections) - SHOWN} more")
        return "\n".join(lines)

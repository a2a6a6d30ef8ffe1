"""One engine's opinion: a line of summary, and what it objects to."""

from collections.abc import Sequence
from typing import NamedTuple

SHOWN = 20
"""More objections than these have one cause."""


class Opinion(NamedTuple):
    subject: str
    judged: str
    """What was judged, how many, and by whom."""
    objections: Sequence[str] = ()
    absent: str = ""
    """Why the judge is not here; nothing was judged then."""

    def report(self, seconds: float) -> str:
        if self.absent:
            return f"{self.subject:14}  NOT JUDGED: {self.absent}"
        outcome = f"{len(self.objections)} OBJECTIONS" if self.objections else "agreed"
        lines = [f"{self.subject:14}  {self.judged}: {outcome} ({seconds:.0f} s)"]
        lines += [f"    {objection}" for objection in self.objections[:SHOWN]]
        if len(self.objections) > SHOWN:
            lines.append(f"    and {len(self.objections) - SHOWN} more")
        return "\n".join(lines)

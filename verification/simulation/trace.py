"""The trace of a run, line by line, and how it is printed."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple

from verification.simulation.faults import FaultKind, short
from verification.simulation.world import Process, World


class TraceEntry(NamedTuple):
    """One line of the trace."""

    at: float
    order: str
    who: str
    what: str
    fault: FaultKind | None
    place: str
    """The name of the place where the fault was drawn."""


class Trace:
    def __init__(self, world: World) -> None:
        self._world = world
        self.lines: list[TraceEntry] = []

    def record(self, who: Process | str, what: str, fault: FaultKind | None = None, place: str = "") -> None:
        order, name = (who.order, who.name) if isinstance(who, Process) else ("", who)
        self.lines.append(TraceEntry(self._world.now, order, name, what, fault, place))

    @property
    def faults(self) -> list[TraceEntry]:
        return [line for line in self.lines if line.fault]

    def text(self) -> str:
        """Return every line in full: the same seed gives the same bytes."""
        return "\n".join(
            f"{line.at:.6f} {line.order} {line.who} {line.what} {line.fault.name if line.fault else '-'} {line.place}"
            for line in self.lines
        )

    def digest(self) -> str:
        return sha256(self.text().encode()).hexdigest()

    def readable(self) -> Iterator[str]:
        """Yield each line for the terminal: time, order, process, action, fault."""
        for line in self.lines:
            fault = f"  ✗ {line.fault.value} [{short(line.place)}]" if line.fault else ""
            yield f"{_clock(line.at):>12}  {line.order:>5}  {line.who:<48}  {line.what}{fault}"


def _clock(seconds: float) -> str:
    whole = timedelta(seconds=int(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}"

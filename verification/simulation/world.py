"""Virtual time, and the processes in it: they run one at a time, in an order that only the seed decides.

A process is an invocation or an operator's command: plain code that runs until it waits, at each call of AWS. Then the
next process runs, so that any two interleave at their calls. greenlet switches between them inside one thread: nothing
depends on the operating system's scheduler, and a switch costs less than a microsecond.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any, NoReturn

from greenlet import getcurrent, greenlet

from verification.simulation.faults import FaultKind

FOR_EVER_SECONDS = 1e9
LARGEST_SKEW_SECONDS = 0.1
"""By how much a process's clock may be wrong."""
START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


class Killed(BaseException):
    """Ends a process that crashed. No Exception, since the code under test must not catch it."""


class Process:
    """Running code with a name, a clock that may be wrong, and the faults that struck it."""

    def __init__(self, name: str, order: str, *, skew: float = 0.0) -> None:
        self.name = name
        self.order = order
        """The label of its order in the trace."""
        self.skew = skew
        self.started = 0.0
        self.faults: list[FaultKind] = []
        self.excused = False
        """Whether a fault explains its failure: a crash, or a call whose retries were used up."""
        self.failed_call = ""
        """The last call whose retries were used up."""
        self.calls = 0
        self.dead = False
        self.over = False
        self.greenlet: Any = None

    def die(self) -> NoReturn:
        """End the running process here, like a crash."""
        self.dead = True
        raise Killed


Ended = Callable[[Any, BaseException | None], None]
"""Called once when a process has ended, with its result or its error."""


class World:
    """The clock, and everything that is still to happen, by time."""

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds since START."""
        self.current: Process | None = None
        self.busy = 0
        """How many actions are still to come, without those that are `for_ever`."""
        self._queue: list[tuple[float, int, Callable[[], None], bool]] = []
        self._count = 0
        self._main = getcurrent()

    def later(self, seconds: float, action: Callable[[], None], *, for_ever: bool = False) -> None:
        """Schedule an action; `for_ever` marks one that schedules itself again, or may never happen."""
        self._count += 1
        self.busy += not for_ever
        heappush(self._queue, (self.now + seconds, self._count, action, for_ever))

    def run(self, until: Callable[[], bool]) -> None:
        """Run the scheduled actions in order, until the condition holds or none is left."""
        while self._queue and not until():
            self.now, _, action, for_ever = heappop(self._queue)
            self.busy -= not for_ever
            action()

    def start(self, process: Process, body: Callable[[], Any], ended: Ended) -> None:
        """Start a process; it runs when the current one waits."""

        def live() -> None:
            result, error = None, None
            try:
                result = body()
            except (Exception, Killed) as raised:  # noqa: BLE001 # passed on to `ended`
                error = raised
            process.over = True
            ended(result, error)

        process.started = self.now
        process.greenlet = greenlet(live, parent=self._main)
        self.later(0, lambda: self._resume(process))

    def wait(self, seconds: float) -> None:
        """Let the running process wait while others run. Raises Killed if it is killed in the meantime."""
        process = self.process
        if process.dead:
            raise Killed
        self.later(seconds, lambda: self._resume(process), for_ever=seconds >= FOR_EVER_SECONDS)
        self._main.switch()
        if process.dead:
            raise Killed

    def kill(self, process: Process) -> None:
        """Kill a process that waits."""
        if not process.over:
            process.dead = True
            self._resume(process)

    @property
    def process(self) -> Process:
        assert self.current, "no process is running"
        return self.current

    def moment(self) -> datetime:
        """Return the time by the running process's clock, in whole milliseconds."""
        skew = self.current.skew if self.current else 0.0
        return START + timedelta(milliseconds=int((self.now + skew) * 1000))

    def _resume(self, process: Process) -> None:
        if process.over:
            return
        before, self.current = self.current, process
        process.greenlet.switch()
        self.current = before

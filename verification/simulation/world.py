"""Virtual time, and processes that live in it, one at a time and in an order that the seed alone decides.

A process is an invocation, a customer or an operator: plain code that runs until it waits, which is when it calls AWS.
Then the next one runs, so that any two are interleaved at each of their calls. greenlet switches between them inside
one thread: nothing is left to the operating system, and a switch costs less than a microsecond.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any, NoReturn

from greenlet import getcurrent, greenlet

from verification.simulation.faults import FaultKind

FOR_EVER = 1e9  # seconds
LARGEST_SKEW = 0.1  # seconds that a process's clock may be wrong by
BEGINNING = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


class Killed(BaseException):
    """The process is no more. Not an Exception: no code of ours may catch it, as none survives a crash."""


class Process:
    """Code with a name, a clock that may be wrong by a little, and whatever goes wrong for it."""

    def __init__(self, name: str, order: str, *, skew: float = 0.0) -> None:
        self.name = name
        self.order = order
        """Which order it is about, as the trace calls it."""
        self.skew = skew
        self.started = 0.0
        self.faults: list[FaultKind] = []
        self.excused = False
        """Whether something went wrong that the code could not bear: it died, or the SDK's retries were used up."""
        self.failed_call = ""
        """The last call that the SDK gave up."""
        self.calls = 0
        self.dead = False
        self.over = False
        self.greenlet: Any = None

    def die(self) -> NoReturn:
        """From inside: the process ends here, with nothing of what it had still to do."""
        self.dead = True
        raise Killed


Ended = Callable[[Any, BaseException | None], None]
"""Told once when a process has ended: with what it returned, or with what it raised."""


class World:
    """Everything that is still to happen, by time."""

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds since the beginning."""
        self.current: Process | None = None
        self.busy = 0
        """How much is still to come, but for what comes for ever."""
        self._coming: list[tuple[float, int, Callable[[], None], bool]] = []
        self._count = 0
        self._hub = getcurrent()

    def later(self, seconds: float, what: Callable[[], None], *, for_ever: bool = False) -> None:
        """Do something after so many seconds; `for_ever` marks what always comes again, or may never come."""
        self._count += 1
        self.busy += not for_ever
        heappush(self._coming, (self.now + seconds, self._count, what, for_ever))

    def run(self, until: Callable[[], bool]) -> None:
        """Let happen what is to happen, until a condition holds or nothing is left."""
        while self._coming and not until():
            self.now, _, what, for_ever = heappop(self._coming)
            self.busy -= not for_ever
            what()

    def start(self, process: Process, body: Callable[[], Any], ended: Ended) -> None:
        """Let a process begin, as soon as whoever runs now waits."""

        def live() -> None:
            result, error = None, None
            try:
                result = body()
            except (Exception, Killed) as raised:  # noqa: BLE001 # the process ended so; whoever waits for it gets the error
                error = raised
            process.over = True
            ended(result, error)

        process.started = self.now
        process.greenlet = greenlet(live, parent=self._hub)
        self.later(0, lambda: self._go_on(process))

    def wait(self, seconds: float) -> None:
        """Called by a process: let others go on meanwhile. Raises Killed where it does not live to see the end."""
        process = self.process
        if process.dead:
            raise Killed
        self.later(seconds, lambda: self._go_on(process), for_ever=seconds >= FOR_EVER)
        self._hub.switch()
        if process.dead:
            raise Killed

    def kill(self, process: Process) -> None:
        """From outside, while it waits."""
        if not process.over:
            process.dead = True
            self._go_on(process)

    @property
    def process(self) -> Process:
        assert self.current, "only a process can do that"
        return self.current

    def moment(self) -> datetime:
        """What the clock of the running process shows, cut to milliseconds."""
        skew = self.current.skew if self.current else 0.0
        return BEGINNING + timedelta(milliseconds=int((self.now + skew) * 1000))

    def _go_on(self, process: Process) -> None:
        if process.over:
            return
        before, self.current = self.current, process
        process.greenlet.switch()
        self.current = before

"""Virtual time, and the processes in it: they run one at a time, in an order that only the seed decides.

A process is an invocation or an operator's command: plain code that runs until it waits, at each call of AWS. Then the
next process runs, so that any two interleave at their calls. greenlet switches between them inside one thread: nothing
depends on the operating system's scheduler, and a switch costs less than a microsecond. A process may have threads:
they interleave in the same way, and end together when it crashes.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from greenlet import getcurrent, greenlet

from verification.simulation.faults import FaultKind

FOR_EVER_SECONDS = 1e9
LARGEST_SKEW_SECONDS = 0.1
"""By how much a process's clock may be wrong."""
START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
Item = TypeVar("Item")
Result = TypeVar("Result")


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
        self.dead = False
        self.over = False
        self.main = Thread(name, self)
        self.pools = count(1)

    def die(self) -> NoReturn:
        """End the running process here, like a crash."""
        self.dead = True
        raise Killed


class Thread:
    """A thread of a process; the first is its `main`."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process
        self.calls = 0
        self.greenlet: Any = None


Ended = Callable[[Any, BaseException | None], None]
"""Called once when a process has ended, with its result or its error."""


class World:
    """The clock, and everything that is still to happen, by time."""

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds since START."""
        self.current: Thread | None = None
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
        process.main.greenlet = greenlet(live, parent=self._main)
        self.later(0, lambda: self._resume(process.main))

    def start_threads(self, bodies: Iterable[tuple[str, Callable[[], None]]]) -> None:
        """Run these threads of the running process, each with its name, until all have ended or one crashes."""
        main = self.thread
        running: set[Thread] = set()
        threads: list[Thread] = []

        def start(name: str, body: Callable[[], None]) -> None:
            thread = Thread(name, main.process)

            def live() -> None:
                try:
                    body()
                except Killed:
                    running.clear()
                running.discard(thread)
                if not running:
                    self.later(0, lambda: self._resume(main))

            running.add(thread)
            threads.append(thread)
            thread.greenlet = greenlet(live, parent=self._main)
            self.later(0, lambda: self._resume(thread))

        for name, body in bodies:
            start(name, body)
        try:
            if running:
                self._pause(main.process)
        finally:
            self._end(threads)

    def _end(self, threads: Iterable[Thread]) -> None:
        """End the threads of the running process that a crash has left behind: otherwise their memory stays."""
        for thread in threads:
            if thread.greenlet:  # it has begun, and has not ended
                thread.greenlet.parent = getcurrent()
                thread.greenlet.throw(Killed)

    def wait(self, seconds: float) -> None:
        """Let the running thread wait while others run. Raises Killed if its process is killed in the meantime."""
        thread = self.thread
        if thread.process.dead:
            raise Killed
        self.later(seconds, lambda: self._resume(thread), for_ever=seconds >= FOR_EVER_SECONDS)
        self._pause(thread.process)

    def _pause(self, process: Process) -> None:
        self._main.switch()
        if process.dead:
            raise Killed

    def kill(self, process: Process) -> None:
        """Kill a process that waits."""
        if not process.over:
            process.dead = True
            self._resume(process.main)

    @property
    def thread(self) -> Thread:
        assert self.current, "no process is running"
        return self.current

    @property
    def process(self) -> Process:
        return self.thread.process

    def moment(self) -> datetime:
        """Return the time by the running process's clock, in whole milliseconds."""
        skew = self.current.process.skew if self.current else 0.0
        return START + timedelta(milliseconds=int((self.now + skew) * 1000))

    def _resume(self, thread: Thread) -> None:
        if thread.process.over:
            return
        before, self.current = self.current, thread
        thread.greenlet.switch()
        self.current = before


class SimulatedPool:
    """The part of `concurrent.futures.ThreadPoolExecutor` that the code uses, with threads of this world."""

    def __init__(self, world: World, most_threads: int) -> None:
        self._world = world
        self._most_threads = most_threads
        self._name = f"{world.process.name}~{next(world.process.pools)}"
        self._rounds = count(1)

    def __enter__(self) -> "SimulatedPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """No thread is left: `map` waits for all."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Call the function with each item, several at once; yield the results in the items' order, or raise there."""
        waiting = list(enumerate(items))[::-1]
        results: dict[int, Result] = {}
        errors: dict[int, Exception] = {}
        number_of_items, name = len(waiting), f"{self._name}.{next(self._rounds)}"

        def work() -> None:
            while waiting:
                number, item = waiting.pop()
                try:
                    results[number] = function(item)
                except Exception as error:  # noqa: BLE001 # raised where its result is asked for
                    errors[number] = error

        threads = min(self._most_threads, number_of_items)
        self._world.start_threads((f"{name}.{number}", work) for number in range(1, threads + 1))
        return self._results(number_of_items, results, errors)

    @staticmethod
    def _results(number: int, results: dict[int, Result], errors: dict[int, Exception]) -> Iterator[Result]:
        for each in range(number):
            if each in errors:
                raise errors[each]
            yield results[each]

"""The simulator's threads: they interleave at their calls, and a crash ends all of a process's at once."""

from collections.abc import Callable
from typing import Any

import pytest

from verification.simulation.world import FOR_EVER_SECONDS, Killed, Process, SimulatedPool, World


def _run(body: Callable[[World], Any], *, kill_after: float | None = None) -> tuple[Any, BaseException | None]:
    """Run a process to its end: its result, or its error."""
    world, outcomes = World(), []
    process = Process("run", "")
    world.start(process, lambda: body(world), lambda result, error: outcomes.append((result, error)))
    if kill_after is not None:
        world.later(kill_after, lambda: world.kill(process))
    world.run(lambda: False)
    [outcome] = outcomes
    return outcome


def test_as_many_run_at_once_as_the_pool_has_threads() -> None:
    seen: list[str] = []

    def body(world: World) -> list[int]:
        def work(number: int) -> int:
            seen.append(f"{number} begins at {world.now:g}, {world.thread.name}")
            world.wait(number)
            return number * number

        with SimulatedPool(world, 2) as pool:
            return list(pool.map(work, [3, 1, 1]))

    assert _run(body) == ([9, 1, 1], None)
    assert seen == ["3 begins at 0, run~1.1.1", "1 begins at 0, run~1.1.2", "1 begins at 1, run~1.1.2"]


def test_an_error_is_raised_where_its_result_is_asked_for_and_holds_nothing_up() -> None:
    done = []

    def body(world: World) -> list[int]:
        def work(number: int) -> int:
            world.wait(1)
            done.append(10 // number)
            return number

        with SimulatedPool(world, 2) as pool:
            return list(pool.map(work, [1, 0, 2]))

    _, error = _run(body)
    assert isinstance(error, ZeroDivisionError)
    assert done == [10, 5]


def test_a_pool_without_work_waits_for_nothing() -> None:
    assert _run(lambda world: list(SimulatedPool(world, 2).map(str, []))) == ([], None)


@pytest.mark.parametrize("by", ["its own call", "its time-out"])
def test_a_crash_ends_every_thread(by: str) -> None:
    done, threads = [], []

    def body(world: World) -> None:
        def work(number: float) -> None:
            threads.append(world.thread.greenlet)
            world.wait(number)
            if number == 1 and by == "its own call":
                world.process.die()
            done.append(number)
            world.wait(FOR_EVER_SECONDS)

        SimulatedPool(world, 3).map(work, [0.5, 1, 2])

    _, error = _run(body, kill_after=None if by == "its own call" else 1.5)
    assert isinstance(error, Killed)
    assert done == ([0.5] if by == "its own call" else [0.5, 1])
    assert [thread.dead for thread in threads] == [True] * 3, "else their memory would stay"

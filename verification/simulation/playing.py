"""Many runs on many cores."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import NamedTuple, TypeVar

from verification.simulation.crashes import Crashes, pairs, singles
from verification.simulation.crashes import play as play_crashes
from verification.simulation.schedule import run

CHUNK = 20  # schedules that a worker plays between two reports
T = TypeVar("T")
Played = TypeVar("Played")


class Schedules(NamedTuple):
    """What a worker reports of some schedules."""

    number: int
    steps: int
    faults: Counter[str]
    failing: int | None
    """The first seed whose schedule broke a promise."""


class PlayedCrashes(NamedTuple):
    """What a worker reports of an order that was killed once, and once more at each place thereafter."""

    number: int
    failing: list[tuple[Crashes, str]]
    """The crashes that the order did not survive, and the promise that was broken."""


def play_schedules(first: int, count: int, orders: int, jobs: int) -> Iterator[Schedules]:
    """Play so many seeds; ends with the first that fails."""
    chunks = [(range(start, min(start + CHUNK, first + count)), orders) for start in range(first, first + count, CHUNK)]
    for played in _on_all(_play_chunk, chunks, jobs):
        yield played
        if played.failing is not None:
            return


def play_crash_points(seed: int, jobs: int) -> Iterator[PlayedCrashes]:
    """Kill the order of a seed at every place, alone and in all pairs."""
    yield from _on_all(_kill, [(seed, crashes) for crashes in singles(seed)], jobs)


def _play_chunk(task: tuple[range, int]) -> Schedules:
    seeds, orders = task
    steps, faults = 0, Counter[str]()
    for played, seed in enumerate(seeds, start=1):
        outcome = run(seed, range(orders))
        steps += len(outcome.trace.lines)
        faults.update(line.fault.value for line in outcome.trace.faults if line.fault)
        if not outcome.ok:
            return Schedules(played, steps, faults, seed)
    return Schedules(len(seeds), steps, faults, None)


def _kill(task: tuple[int, Crashes]) -> PlayedCrashes:
    seed, first = task
    every = [first, *pairs(seed, first)]
    outcomes = [(crashes, play_crashes(seed, crashes)) for crashes in every]
    return PlayedCrashes(
        len(every), [(crashes, outcome.violations[0]) for crashes, outcome in outcomes if not outcome.ok]
    )


def _on_all(play: Callable[[T], Played], tasks: Iterable[T], jobs: int) -> Iterator[Played]:
    """What comes of the tasks, as it comes; whoever stops listening ends the rest."""
    if jobs == 1:
        yield from map(play, tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(play, task) for task in tasks]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)

"""Plays many runs on many cores."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import NamedTuple, TypeVar

from verification.simulation.crashes import Crashes, pairs, singles
from verification.simulation.crashes import play as play_crashes
from verification.simulation.schedule import run

SCHEDULES_PER_CHUNK = 20
"""How many a worker plays between two reports."""
Task = TypeVar("Task")
Result = TypeVar("Result")


class PlayedSchedules(NamedTuple):
    """A worker's report on a chunk of schedules."""

    number: int
    steps: int
    faults: Counter[str]
    failing: int | None
    """The first seed whose schedule broke a promise."""


class PlayedCrashes(NamedTuple):
    """A worker's report on one crash, alone and with each crash that can follow it."""

    number: int
    failing: list[tuple[Crashes, str]]
    """The crashes that broke a promise, each with the promise."""


def play_schedules(first: int, count: int, orders: int, jobs: int) -> Iterator[PlayedSchedules]:
    """Play `count` seeds, and stop at the first that fails."""
    starts = range(first, first + count, SCHEDULES_PER_CHUNK)
    chunks = [(range(start, min(start + SCHEDULES_PER_CHUNK, first + count)), orders) for start in starts]
    for played in in_parallel(_play_chunk, chunks, jobs):
        yield played
        if played.failing is not None:
            return


def play_crash_points(seed: int, jobs: int) -> Iterator[PlayedCrashes]:
    """Play every crash of a seed's order, alone and in all pairs."""
    yield from in_parallel(_play_crash, [(seed, crashes) for crashes in singles(seed)], jobs)


def _play_chunk(task: tuple[range, int]) -> PlayedSchedules:
    seeds, orders = task
    steps, faults = 0, Counter[str]()
    for played, seed in enumerate(seeds, start=1):
        outcome = run(seed, range(orders))
        steps += len(outcome.trace.lines)
        faults.update(line.fault.value for line in outcome.trace.faults if line.fault)
        if not outcome.ok:
            return PlayedSchedules(played, steps, faults, seed)
    return PlayedSchedules(len(seeds), steps, faults, None)


def _play_crash(task: tuple[int, Crashes]) -> PlayedCrashes:
    seed, first = task
    every = [first, *pairs(seed, first)]
    outcomes = [(crashes, play_crashes(seed, crashes)) for crashes in every]
    return PlayedCrashes(
        len(every), [(crashes, outcome.violations[0]) for crashes, outcome in outcomes if not outcome.ok]
    )


def in_parallel(play: Callable[[Task], Result], tasks: Iterable[Task], jobs: int) -> Iterator[Result]:
    """Yield each task's result when it is done; closing the iterator cancels the rest."""
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

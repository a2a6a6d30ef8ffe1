"""Many schedules on many cores."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import NamedTuple

from simulation.schedule import run

CHUNK = 20  # schedules that a worker plays between two reports


class Played(NamedTuple):
    """What a worker reports of some schedules."""

    schedules: int
    lines: int
    faults: Counter[str]
    failing: int | None
    """The first seed whose schedule broke a promise."""


def play(seeds: range, orders: int) -> Played:
    """Play these seeds, up to the first that fails."""
    played, lines, faults = 0, 0, Counter[str]()
    for seed in seeds:
        outcome = run(seed, range(orders))
        played += 1
        lines += len(outcome.story.lines)
        faults.update(line.fault.value for line in outcome.story.faults if line.fault)
        if not outcome.ok:
            return Played(played, lines, faults, seed)
    return Played(played, lines, faults, None)


def play_all(first: int, count: int, orders: int, jobs: int) -> Iterator[Played]:
    """Play so many seeds on so many processes; ends with the first that fails."""
    chunks = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    if jobs == 1:
        for chunk in chunks:
            played = play(chunk, orders)
            yield played
            if played.failing is not None:
                return
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(play, chunk, orders) for chunk in chunks]
        for done in as_completed(waiting):
            played = done.result()
            yield played
            if played.failing is not None:
                pool.shutdown(cancel_futures=True)
                return

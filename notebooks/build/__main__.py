"""Builds the notebooks from their text sources, and checks that what is committed is what they say.

npm run notebooks:build [-- 1 4]     run each, alone, on a stack of its own, and write it with its outputs
npm run notebooks:check [-- 1 4]     run each the same way, with the labs' solutions; write nothing
npm run notebooks:check -- --twice   run each twice on one stack, in a random order
"""

import argparse
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from notebooks.build import lessons


def _all_reported(to_do: Mapping[str, Callable[[], str | None]], jobs: int) -> list[str]:
    """Do all of it, so many at a time, each in a process of its own; the names of what went wrong."""
    print(f"{len(to_do)} to run, {jobs} at a time; each takes up to a minute", flush=True)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        return [name for failed in pool.map(lessons.reported, to_do, to_do.values()) for name in failed]


def _twice_in_any_order(chosen: Sequence[Path], seed: int) -> list[str]:
    """Run each lesson twice on one stack, in a random order; the names of those that failed."""
    order = [*chosen, *chosen]
    random.Random(seed).shuffle(order)
    with lessons.new_stack() as folder:
        return [
            name for source in order for name in lessons.reported(source.stem, partial(lessons.solve, source, folder))
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("numbers", nargs="*", type=int, help="default: all")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--texts", action="store_true", help="only write the texts, where the code has not changed")
    parser.add_argument(
        "--twice", action="store_true", help="each twice on one stack, in a random order; write nothing"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many run at a time, each on a stack of its own")
    parser.add_argument("--seed", type=int, default=0, help="of the random order")
    arguments = parser.parse_args()
    chosen = lessons.sources(arguments.numbers)
    if arguments.twice:
        failed = _twice_in_any_order(chosen, arguments.seed)
    else:
        work = lessons.check if arguments.check else lessons.update_texts if arguments.texts else lessons.build
        to_do: dict[str, Callable[[], str | None]] = {source.stem: partial(work, source) for source in chosen}
        if arguments.check and not arguments.numbers:
            to_do["cheat_sheet"] = lessons.check_cheat_sheet
        failed = _all_reported(to_do, arguments.jobs)
    if failed:
        print(f"Not good: {', '.join(failed)}. To build one again: npm run notebooks:build -- N", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

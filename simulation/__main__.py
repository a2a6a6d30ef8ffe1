"""`npm run simulate`: thousands of schedules of orders, with everything that can go wrong; or one of them again."""

import argparse
import os
import secrets
import sys
import time
from collections import Counter

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from simulation.playing import play_all
from simulation.schedule import ORDERS, Outcome, run
from simulation.shrinking import command, shortest

LARGEST_SEED = 2**32


def main() -> int:
    arguments = _parser().parse_args()
    console = Console(soft_wrap=True)
    if arguments.seed is not None:
        only = None if arguments.faults is None else [] if arguments.faults == "none" else arguments.faults.split(",")
        orders = range(ORDERS) if arguments.orders is None else [int(each) for each in arguments.orders.split(",")]
        return tell(console, run(arguments.seed, orders, only=only))
    first = secrets.randbelow(LARGEST_SEED) if arguments.first is None else arguments.first
    return simulate(console, first, arguments.seeds, arguments.jobs)


def simulate(console: Console, first: int, count: int, jobs: int) -> int:
    """Play so many schedules and sum up; the story of the first that fails."""
    started, faults, schedules, lines, failing = time.monotonic(), Counter[str](), 0, 0, None
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(f"{count} schedules of {ORDERS} orders", total=count)
        for played in play_all(first, count, ORDERS, jobs):
            progress.advance(bar, played.schedules)
            schedules, lines, faults = schedules + played.schedules, lines + played.lines, faults + played.faults
            failing = played.failing
    seconds = time.monotonic() - started
    console.print(_summary(faults))
    console.print(
        f"{schedules} schedules of {ORDERS} orders, seeds {first} to {first + count - 1}: {lines:,} steps,"
        f" {faults.total():,} faults, {seconds:.0f} s on {jobs} processes, {schedules / seconds:.1f} schedules a second"
    )
    if failing is None:
        console.print("[green]✓[/] every promise was kept")
        return 0
    console.print(f"[red]✗[/] seed {failing} broke a promise; making its story short …")
    return tell(console, shortest(run(failing)))


def tell(console: Console, outcome: Outcome) -> int:
    """The story of one schedule, and what is wrong with it."""
    for line in outcome.story.readable():
        console.print(line, highlight=False, markup=False)
    if outcome.ok:
        console.print(f"[green]✓[/] seed {outcome.seed}: every promise was kept")
        return 0
    for violation in outcome.violations:
        console.print(f"[red]✗[/] {violation}", highlight=False)
    console.print(f"again: {command(outcome)}", highlight=False)
    return 1


def _summary(faults: Counter[str]) -> Table:
    table = Table("what went wrong", "how often", box=None)
    table.columns[1].justify = "right"
    for fault, count in faults.most_common():
        table.add_row(fault, f"{count:,}")
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="npm run simulate --", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=200, metavar="N", help="how many schedules; default: 200")
    parser.add_argument("--first", type=int, metavar="SEED", help="the first seed; default: a fresh one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes; default: all cores")
    parser.add_argument("--seed", type=int, help="tell the story of this one schedule")
    parser.add_argument("--orders", metavar="N,N,…", help="with --seed: these of its orders only")
    parser.add_argument("--faults", metavar="ID,ID,…", help="with --seed: these of its faults only, or none")
    return parser


if __name__ == "__main__":
    sys.exit(main())

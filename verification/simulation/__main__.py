"""`npm run simulate`: play many schedules of orders and faults, or repeat one of them."""

import argparse
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from operations.screen import filled
from tools.checkout import ROOT
from verification.simulation import outage
from verification.simulation.bugs import BUGS
from verification.simulation.crashes import STORIES, Crashes, one_order
from verification.simulation.playing import play_crash_points, play_schedules
from verification.simulation.schedule import ORDERS, Outcome, run
from verification.simulation.sensitivity import MOST_SCHEDULES, HuntResult, hunt_all, report
from verification.simulation.shrinking import command, shortest

LARGEST_SEED = 2**32
REPORT = ROOT / "docs" / "sensitivity.md"


def main() -> int:
    arguments = _parser().parse_args()
    console = Console(soft_wrap=True)
    if arguments.crashes:
        return play_crashes(console, arguments.jobs)
    if arguments.outage:
        return play_outages(console, arguments.jobs)
    if arguments.bugs:
        return hunt_bugs(console, arguments.jobs)
    if arguments.seed is not None:
        only = None if arguments.faults is None else [] if arguments.faults == "none" else arguments.faults.split(",")
        orders = range(ORDERS) if arguments.orders is None else [int(each) for each in arguments.orders.split(",")]
        return show(console, run(arguments.seed, orders, only=only))
    first = secrets.randbelow(LARGEST_SEED) if arguments.first is None else arguments.first
    return simulate(console, first, arguments.seeds, arguments.jobs)


def simulate(console: Console, first: int, count: int, jobs: int) -> int:
    """Play `count` schedules and print a summary, and the trace of the first that fails."""
    started, faults, schedules, steps, failing = time.monotonic(), Counter[str](), 0, 0, None
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(f"{count} schedules of {ORDERS} orders", total=count)
        for played in play_schedules(first, count, ORDERS, jobs):
            progress.advance(bar, played.number)
            schedules, steps, faults = schedules + played.number, steps + played.steps, faults + played.faults
            failing = played.failing
    seconds = time.monotonic() - started
    console.print(_summary(faults))
    console.print(
        f"{schedules} schedules of {ORDERS} orders, seeds {first} to {first + count - 1}: {steps:,} steps,"
        f" {faults.total():,} faults, {seconds:.0f} s on {jobs} processes, {schedules / seconds:.1f} schedules a second"
    )
    if failing is None:
        console.print("[green]✓[/] every promise was kept")
        return 0
    console.print(f"[red]✗[/] seed {failing} broke a promise; shortening its trace …")
    return show(console, shortest(run(failing)))


def show(console: Console, outcome: Outcome) -> int:
    """Print the trace of one schedule, and the promises that it broke."""
    for line in outcome.trace.readable():
        console.print(filled("{line}", line=line), highlight=False)
    if outcome.ok:
        console.print(f"[green]✓[/] seed {outcome.seed}: every promise was kept")
        return 0
    for violation in outcome.violations:
        console.print(filled("[red]✗[/] {violation}", violation=violation), highlight=False)
    console.print(f"repeat it with: {command(outcome)}", highlight=False)
    return 1


def play_crashes(console: Console, jobs: int) -> int:
    """Play an order for each outcome with every crash, alone and in all pairs."""
    failed = False
    for story in STORIES:
        started, count = time.monotonic(), 0
        failing: list[tuple[Crashes, str]] = []
        with Progress(console=console, transient=True) as progress:
            progress.add_task(f"{story}: crashes and pairs of crashes", total=None)
            for played in play_crash_points(one_order(story), jobs):
                count, failing = count + played.number, failing + played.failing
        mark = "[red]✗[/]" if failing or not count else "[green]✓[/]"
        console.print(f"{mark} {story}: {count:,} crashes and pairs of crashes, {time.monotonic() - started:.0f} s")
        for crashes, violation in failing:
            where = ", ".join(f"{fault.value} ({place})" for place, fault in crashes.items())
            console.print(filled("  {where}: {violation}", where=where, violation=violation))
        failed = failed or bool(failing) or not count
    return int(failed)


def play_outages(console: Console, jobs: int) -> int:
    """Play each scenario of an outage, and print how long its orders take to end afterwards."""
    table = Table("for an hour", "orders", "open at its end", "minutes to heal", "bound", "publications", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    failed = False
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(f"outages while {outage.ORDERS:,} orders arrive", total=len(outage.SCENARIOS))
        for healing in outage.play(jobs):
            progress.advance(bar)
            scenario = healing.scenario
            table.add_row(
                scenario.name,
                f"{healing.orders:,}",
                f"{healing.backlog:,}",
                f"{healing.minutes:.1f}",
                str(scenario.most_minutes),
                f"{healing.publications} of {scenario.most_publications}",
            )
            for violation in healing.violations:
                console.print(filled("[red]✗[/] {name}: {what}", name=scenario.name, what=violation), highlight=False)
            failed = failed or bool(healing.violations)
    console.print(table)
    if not failed:
        console.print("[green]✓[/] every order ended within its bound, and every promise was kept")
    return int(failed)


def hunt_bugs(console: Console, jobs: int) -> int:
    """Plant each bug of the list in a copy, and write the result to docs/sensitivity.md."""

    with _bar(console, "bugs", len(BUGS)) as advance:

        def done(verdict: HuntResult) -> None:
            advance()
            if verdict.caught is None:
                console.print(f"[red]✗[/] survived {MOST_SCHEDULES} schedules: {verdict.bug.name}", highlight=False)

        verdicts = hunt_all(BUGS, jobs, done)
    REPORT.write_text(report(verdicts))
    caught = [verdict for verdict in verdicts if verdict.caught]
    mark = "[green]✓[/]" if len(caught) == len(BUGS) else "[red]✗[/]"
    console.print(f"{mark} {len(caught)} of {len(BUGS)} bugs were caught: {REPORT.relative_to(ROOT)}")
    return int(len(caught) < len(BUGS))


@contextmanager
def _bar(console: Console, what: str, total: int) -> Iterator[Callable[[], None]]:
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda: progress.advance(bar)


def _summary(faults: Counter[str]) -> Table:
    table = Table("fault", "count", box=None)
    table.columns[1].justify = "right"
    for fault, count in faults.most_common():
        table.add_row(fault, f"{count:,}")
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="npm run simulate --", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=_positive, default=200, metavar="N", help="how many schedules; default: 200")
    parser.add_argument("--first", type=int, metavar="SEED", help="the first seed; default: a new one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes; default: all cores")
    parser.add_argument("--seed", type=int, help="print the trace of this one schedule")
    parser.add_argument("--orders", metavar="N,N,…", help="with --seed: these of its orders only")
    parser.add_argument("--faults", metavar="ID,ID,…", help="with --seed: these of its faults only, or none")
    parser.add_argument(
        "--crashes", action="store_true", help="play one order with every crash, alone and in all pairs"
    )
    parser.add_argument(
        "--outage", action="store_true", help="play an hour without the bus or the gateway, with thousands of orders"
    )
    parser.add_argument(
        "--bugs", action="store_true", help="plant each bug of the list, and fail unless all are caught"
    )
    return parser


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number of schedules")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

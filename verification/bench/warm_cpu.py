"""Processor time of an event in a warm process, ours against the naive handlers, in turns.

    python -m verification.bench.warm_cpu ours|naive ORDERS

is one round, in a process of its own: it prints, as JSON, each event's nanoseconds by function.
"""

import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from orders.aws.bus import MOST_EVENTS
from tools.checkout import ROOT
from verification.bench.artefact import run
from verification.bench.counts import leave_due
from verification.bench.journey import NAIVE, WITH_STOREFRONT, Functions, functions

_WARM_UP_ORDERS = 20  # not counted: caches fill, regular expressions are compiled


def measure(ours: Path, naive: Path, *, rounds: int, orders: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Microseconds per event, p50, and the number of events, by variant. Raises RuntimeError if a round fails."""
    taken: dict[str, list[int]] = defaultdict(list)
    for number in range(rounds):
        for prefix, whose, folder in (("", "ours", ours), ("naive ", "naive", naive)):
            path = os.pathsep.join(map(str, (folder, ROOT)))
            command = [sys.executable, "-m", "verification.bench.warm_cpu", whose, str(orders)]
            times = run(command, cwd=ROOT.parent, env={"PATH": os.environ["PATH"], "PYTHONPATH": path})
            for function, each in json.loads(times).items():
                taken[f"{prefix}{function}"] += each
        say(f"round {number + 1} of {rounds}")
    return {name: summary(each) for name, each in taken.items()}


def summary(nanoseconds: list[int]) -> dict[str, float]:
    return {"p50": round(statistics.median(nanoseconds) / 1000, 1), "events": len(nanoseconds)}


def main() -> None:
    whose, orders = sys.argv[1], int(sys.argv[2])
    taken: dict[str, list[int]] = defaultdict(list)
    with functions(WITH_STOREFRONT if whose == "ours" else NAIVE) as shop:
        for number in range(_WARM_UP_ORDERS + orders):
            for invocation in shop.order():
                if number >= _WARM_UP_ORDERS:
                    taken[invocation.function].append(invocation.cpu_ns)
        if whose == "ours":
            taken["reconciler, an order"] = _reconciled(shop, orders)
    print(json.dumps(taken))


def _reconciled(shop: Functions, orders: int) -> list[int]:
    """Nanoseconds that a thread of the reconciler takes for an order, for each batch, when this many orders are due."""
    from handlers import reconciler, wiring  # the package's

    leave_due(shop, orders)
    taken = []
    with ThreadPoolExecutor() as pool:
        due = wiring.store().due(pool)
        while batch := list(islice(due, MOST_EVENTS)):
            since = time.thread_time_ns()
            reconciler.reconcile_batch(wiring.bus(), batch)  # the work of one thread
            taken.append((time.thread_time_ns() - since) // len(batch))
    return taken


if __name__ == "__main__":
    main()

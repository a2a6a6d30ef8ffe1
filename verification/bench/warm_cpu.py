"""Processor time per event in a warm process with the network stubbed, ours against the naive handlers, in turns.

    python -m verification.bench.warm_cpu ours|naive ORDERS RESULT

is one round, in a process of its own. RESULT is a file that gets, as JSON, each event's nanoseconds by function; the
logs go to standard output.
"""

import json
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from tools.checkout import ROOT
from verification.bench.artefact import run
from verification.bench.inside import CLOCK, calling, stubbed
from verification.bench.journey import ENVIRONMENT, FUNCTIONS, LAMBDA, NAIVE, Invoke, envelope_of, request, travel
from verification.bench.stub import Stub

_WARM_UP_ORDERS = 20  # not counted: caches fill, regular expressions are compiled
_ORDERS_PER_STUB = 50  # after them the tables are emptied


def measure(ours: Path, naive: Path, *, rounds: int, orders: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Microseconds per event, p50 and p99, by variant. Raises RuntimeError with the error of a round that failed."""
    taken: dict[str, list[int]] = defaultdict(list)
    result = ours.parent / "warm.json"
    for number in range(rounds):
        for whose, folder in (("ours", ours), ("naive", naive)):
            command = [sys.executable, "-m", "verification.bench.warm_cpu", whose, str(orders), str(result)]
            path = os.pathsep.join(map(str, (folder, ROOT)))
            run(command, cwd=ROOT.parent, env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **LAMBDA})
            for function, each in json.loads(result.read_text()).items():
                taken[function if whose == "ours" else f"naive {function}"] += each
        say(f"round {number + 1} of {rounds}")
    return {name: _percentiles(each) for name, each in taken.items()}


def _percentiles(taken: list[int]) -> dict[str, float]:
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return {"p50": round(cuts[49] / 1000, 1), "p99": round(cuts[98] / 1000, 1), "events": len(taken)}


def main() -> None:
    whose, orders, result = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    taken: dict[str, list[int]] = defaultdict(list)
    with stubbed(ENVIRONMENT) as answering:
        modules = FUNCTIONS if whose == "ours" else NAIVE
        call = calling({name: import_module(module).handler for name, module in modules.items()})

        def timed(function: str, event: Any) -> None:
            since = CLOCK.now()
            call(function, event)
            taken[function].append(CLOCK.now() - since)

        for number in range(_WARM_UP_ORDERS + orders):
            if number == _WARM_UP_ORDERS:
                taken.clear()
            if number % _ORDERS_PER_STUB == 0:
                stub = Stub()
            with answering(stub):
                _one_order(stub, timed, f"order {number}", whose)
    result.write_text(json.dumps(taken))


def _one_order(stub: Stub, invoke: Invoke, key: str, whose: str) -> None:
    if whose == "ours":
        for _ in travel(stub, invoke, key):
            pass
        return
    invoke("orderService", request(key))
    invoke("paymentProcessing", envelope_of(stub.published[-1]))


if __name__ == "__main__":
    main()

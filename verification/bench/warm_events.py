"""Processor time of each event in a process that is warm, with the network stubbed: run by warm_cpu.py.

    python -m verification.bench.warm_events ours|naive ORDERS RESULT

RESULT is a file that gets, as JSON, the nanoseconds of each event by function; the logs go to standard output.
"""

import json
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

from verification.bench.inside import CLOCK, calling, stubbed
from verification.bench.journey import ENVIRONMENT, FUNCTIONS, NAIVE, Call, envelope_of, request, travel
from verification.bench.stub import Stub

_WARM_UP = 20  # orders that are not counted: caches fill, regular expressions are compiled
_FRESH = 50  # orders after which the tables are emptied


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

        for number in range(_WARM_UP + orders):
            if number == _WARM_UP:
                taken.clear()
            if number % _FRESH == 0:
                stub = Stub()
            with answering(stub):
                one_order(stub, timed, f"order {number}", whose)
    result.write_text(json.dumps(taken))


def one_order(stub: Stub, call: Call, key: str, whose: str) -> None:
    if whose == "ours":
        for _ in travel(stub, call, key):
            pass
        return
    call("orderService", request(key))
    call("paymentProcessing", envelope_of(stub.published[-1]))


if __name__ == "__main__":
    main()

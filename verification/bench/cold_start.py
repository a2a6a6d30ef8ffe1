"""Cold starts from the package, against boto3 with one client and against the naive handlers.

A fresh process each time. The variants take turns, so that other load on the machine affects all of them alike.
Processor time is decisive: at 256 MB a function has 14 % of a processor, and waits for nothing else at its start.
"""

import copy
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tools.checkout import ROOT
from verification.bench.artefact import run
from verification.bench.journey import NAIVE, SCHEDULED, WITH_STOREFRONT, environment, functions
from verification.bench.stub import Stub, server

REFERENCE = "boto3, one client"
_FIRST_EVENT = ROOT / "verification" / "bench" / "first_event.py"


class Start(NamedTuple):
    """A function's first event, and the state of AWS at that moment."""

    event: Any
    stub: Stub


def starts() -> dict[str, Start]:
    """By function, on the path of an approved order that nobody watches; the reconciler finds nothing due."""
    found: dict[str, Start] = {}
    with functions(WITH_STOREFRONT) as shop:

        def keep(function: str, event: Any) -> None:
            found.setdefault(function, Start(event, copy.deepcopy(shop.stub)))

        shop.order(watch=keep)
        keep("reconciler", SCHEDULED)
    return found


def measure(ours: Path, naive: Path, *, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Milliseconds of processor and of wall time, medians, by variant."""
    first = starts()
    variants: dict[str, tuple[Path, str, Start | None]] = {REFERENCE: (naive, "-", None)}  # as pip installs it
    variants |= {name: (ours, module, first[name]) for name, module in WITH_STOREFRONT.items()}
    variants |= {f"naive {name}": (naive, module, first[name]) for name, module in NAIVE.items()}
    times: dict[str, list[Mapping[str, float]]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, variant in variants.items():
            taken = time_start(*variant)
            if number:  # the first round warms the disk's cache
                times[name].append(taken)
        say(f"round {number} of {rounds}")
    return {
        name: {kind: round(1000 * statistics.median(each[kind] for each in all_), 1) for kind in ("cpu", "wall")}
        for name, all_ in times.items()
    }


def time_start(folder: Path, module: str, start: Start | None) -> Mapping[str, float]:
    """Seconds of one start, `cpu` and `wall`; with module `-` and no event, of the reference. Raises RuntimeError."""
    server().stub = copy.deepcopy(start.stub) if start else Stub()
    variables = {"PATH": os.environ["PATH"], **environment(server().url)}
    command = [sys.executable, "-I", "-B", str(_FIRST_EVENT), str(folder), module]
    times: Mapping[str, float] = json.loads(
        run(command, env=variables, input=json.dumps(start.event if start else None))
    )
    return times

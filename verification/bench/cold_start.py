"""Cold starts from the package, against boto3 with one client and against the naive handlers.

A fresh process each time. The variants take turns, so that other load on the machine affects all of them alike.
Processor time decides: at 512 MB a function has 29 % of a processor, and waits for nothing else at its start.
"""

import json
import os
import shutil
import statistics
import sys
import zipfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from tools.checkout import ROOT
from verification.bench.artefact import build, run
from verification.bench.inside import calling, stubbed
from verification.bench.journey import ENVIRONMENT, FUNCTIONS, LAMBDA, NAIVE, Stop, stops
from verification.bench.stub import Stub, StubServer, serving

_FIRST_EVENT = ROOT / "verification" / "bench" / "first_event.py"
REFERENCE = "boto3, one client"


def packages(folder: Path, step: Callable[[str], Any]) -> tuple[Path, Path]:
    """The unpacked package for this machine, and the naive handlers with what they need."""
    ours, naive = folder / "ours", folder / "theirs"
    for each in (ours, naive):
        shutil.rmtree(each, ignore_errors=True)
    with step("Building the package for this machine"):
        zipfile.ZipFile(build("local", folder / "package.zip")).extractall(ours)
    with step("Installing what the naive handlers need"):
        lock = ROOT / "tools" / "locks" / "naive.txt"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(lock)]
        run([*pip, "--target", str(naive)])  # pip compiles, as Lambda's layers are compiled
        shutil.copytree(ROOT / "verification" / "bench" / "naive", naive / "naive", dirs_exist_ok=True)
        run([sys.executable, "-m", "compileall", "-q", str(naive / "naive")])
    return ours, naive


def measure(ours: Path, naive: Path, *, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Milliseconds of processor and of wall time, medians, by variant."""
    with stubbed(ENVIRONMENT) as answering, answering(stub := Stub()):
        at = stops(stub, calling({name: import_module(module).handler for name, module in FUNCTIONS.items()}))
    variants: dict[str, tuple[Path, str, Stop | None]] = {REFERENCE: (naive, "-", None)}  # as pip installs it
    variants |= {name: (ours, module, at[name]) for name, module in FUNCTIONS.items()}
    variants |= {f"naive {name}": (naive, module, at[name]) for name, module in NAIVE.items()}
    times: dict[str, list[Mapping[str, float]]] = {name: [] for name in variants}
    with serving() as server:
        for number in range(rounds + 1):
            for name, (folder, module, stop) in variants.items():
                taken = _start(server, folder, module, stop)
                if number:  # the first round warms the disk's cache
                    times[name].append(taken)
            say(f"round {number} of {rounds}")
    return {
        name: {kind: round(1000 * statistics.median(each[kind] for each in all_), 1) for kind in ("cpu", "wall")}
        for name, all_ in times.items()
    }


def _start(server: StubServer, folder: Path, module: str, stop: Stop | None) -> Mapping[str, float]:
    if stop:
        server.stub = stop.stub.copy()
    command = [sys.executable, "-I", "-B", str(_FIRST_EVENT), str(folder), module]
    environment = {"PATH": os.environ["PATH"], **LAMBDA, **ENVIRONMENT, "AWS_ENDPOINT_URL": server.url}
    times: Mapping[str, float] = json.loads(
        run(command, env=environment, input=json.dumps(stop.event if stop else None))
    )
    return times

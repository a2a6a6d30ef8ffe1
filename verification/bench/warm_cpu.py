"""Processor time per event in a warm process, ours against the naive handlers, in turns."""

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.checkout import ROOT


def measure(ours: Path, naive: Path, *, rounds: int, orders: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Microseconds per event, p50 and p99, by variant; each round is a process of its own."""
    taken: dict[str, list[int]] = defaultdict(list)
    result = ours.parent / "warm.json"
    for number in range(rounds):
        for whose, folder in (("ours", ours), ("naive", naive)):
            command = [sys.executable, "-m", "verification.bench.warm_events", whose, str(orders), str(result)]
            path = os.pathsep.join(map(str, (folder, ROOT)))
            done = subprocess.run(
                command, cwd=ROOT.parent, env=_environment(path), capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(done.stderr.strip()[-1500:])
            for function, each in json.loads(result.read_text()).items():
                taken[function if whose == "ours" else f"naive {function}"] += each
        say(f"round {number + 1} of {rounds}")
    return {name: _percentiles(each) for name, each in taken.items()}


def _percentiles(taken: list[int]) -> dict[str, float]:
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return {"p50": round(cuts[49] / 1000, 1), "p99": round(cuts[98] / 1000, 1), "events": len(taken)}


def _environment(path: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": path,
        "LAMBDA_TASK_ROOT": "/var/task",
        "_X_AMZN_TRACE_ID": "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0",
    }

"""What the timed parts time is what they say: a function's own work. The figures are reported."""

import io
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tools.checkout import ROOT
from verification.bench import warm_cpu
from verification.bench.cold_start import starts, time_start
from verification.bench.journey import Functions
from verification.bench.stub import Stub, server


def test_a_cold_start_ends_with_the_first_event(tmp_path: Path) -> None:
    """A package of two modules, so that nothing is installed for it."""
    (tmp_path / "boto3.py").write_text("def client(service): assert service == 'dynamodb'\n")
    (tmp_path / "slow.py").write_text("import time\ndef handler(event, context): time.sleep(0.05); print(event)\n")
    start = starts()["fulfillment"]

    reference, slow = time_start(tmp_path, "-", None), time_start(tmp_path, "slow", start)

    assert slow["wall"] >= 0.05 > reference["cpu"] > 0
    with pytest.raises(RuntimeError, match="No module named 'absent'"):
        time_start(tmp_path, "absent", None)


def test_the_stub_s_own_time_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    iterations = 3_000_000  # some tenths of a second of processor time

    def slow(*_: object) -> tuple[int, bytes]:
        return 200, str(sum(range(iterations))).encode()

    def handler(event: Any, context: Any) -> None:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(server().url, data=b"").read()

    def working(event: Any, context: Any) -> None:
        sum(range(iterations))

    monkeypatch.setattr(Stub, "respond", slow)
    shop = Functions({"calls": handler, "works": working}, io.StringIO())
    assert shop.invoke("calls", {}).cpu_ns < shop.invoke("works", {}).cpu_ns


def test_the_median_is_of_all_events_in_microseconds() -> None:
    assert warm_cpu.summary([1_000 * each for each in range(1, 101)]) == {"p50": 50.5, "events": 100}


def test_a_warm_run_tells_the_time_of_each_event_of_each_function() -> None:
    command = [sys.executable, "-m", "verification.bench.warm_cpu", "ours", "2"]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)

    events = {name: len(taken) for name, taken in json.loads(run.stdout).items()}
    assert events == {
        "orderService": 2,
        "paymentProcessing": 2,
        "fulfillment": 2,
        "orderStatusUpdater": 4,
        "notification": 2,
        "auditLogger": 6,
        "orderFeed": 6,
        "reconciler, an order": 1,
    }

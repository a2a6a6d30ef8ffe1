"""What the timed parts time is what they say: each function's own event, handled. The figures are reported."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from moto.core.models import botocore_stubber

from orders.aws.dynamodb import from_item
from tools.checkout import ROOT
from tools.topology import service
from verification.bench import cold_start, warm_cpu
from verification.bench.inside import CLOCK, calling, stubbed
from verification.bench.journey import ENVIRONMENT, FUNCTIONS, Stop, stops
from verification.bench.stub import Stub, serving
from verification.simulation.harness import forget


@pytest.fixture(autouse=True)
def nobody_else_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither moto, which stays for all tests of a process, nor a client that a handler made in another test."""
    monkeypatch.setattr(botocore_stubber, "enabled", False)
    forget()
    yield
    forget()


@pytest.fixture
def at() -> dict[str, Stop]:
    handlers = {name: import_module(module).handler for name, module in FUNCTIONS.items()}
    with stubbed(ENVIRONMENT) as answering, answering(stub := Stub()):
        return stops(stub, calling(handlers))


def test_every_function_is_timed() -> None:
    assert FUNCTIONS.keys() == service()["functions"].keys()


def test_each_function_gets_the_event_that_is_its_own(at: dict[str, Stop]) -> None:
    assert at.keys() == FUNCTIONS.keys()
    found = {
        name: [from_item(item)["status"] for item in stop.stub.tables["Orders"].items.values()]
        for name, stop in at.items()
    }
    assert found == {
        "orderService": [],
        "paymentProcessing": ["PLACED"],
        "fulfillment": ["PLACED"],
        "orderStatusUpdater": ["PLACED"],
        "notification": ["FULFILLED"],
        "auditLogger": ["PLACED"],
        "reconciler": ["FULFILLED"],
    }


def test_a_function_that_does_not_do_its_work_is_not_timed(at: dict[str, Stop]) -> None:
    handler = import_module(FUNCTIONS["notification"]).handler
    with (
        stubbed(ENVIRONMENT) as answering,
        answering(Stub()),
        pytest.raises(RuntimeError, match="batchItemFailures"),
    ):
        calling({"notification": handler})("notification", at["notification"].event)


def test_a_cold_start_ends_with_the_first_event(at: dict[str, Stop], tmp_path: Path) -> None:
    """A package of two modules, so that nothing is installed for it."""
    (tmp_path / "boto3.py").write_text("def client(service): assert service == 'dynamodb'\n")
    (tmp_path / "slow.py").write_text("import time\ndef handler(event, context): time.sleep(0.05); print(event)\n")
    with serving() as server:
        reference = cold_start._start(server, tmp_path, "-", None)
        slow = cold_start._start(server, tmp_path, "slow", at["fulfillment"])

    assert slow["wall"] >= 0.05 > reference["cpu"] > 0
    with pytest.raises(RuntimeError, match="No module named 'absent'"):
        cold_start._start(server, tmp_path, "absent", None)


def test_the_stub_s_own_time_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.thread_time_ns", lambda: 1_000)
    monkeypatch.setattr(CLOCK, "aside", 300)
    assert CLOCK.now() == 700


def test_percentiles_are_of_all_events_in_microseconds() -> None:
    taken = [1_000 * each for each in range(1, 101)]
    assert warm_cpu._percentiles(taken) == {"p50": 50.5, "p99": 99.0, "events": 100}


def test_a_warm_run_tells_the_time_of_each_event_of_each_function(tmp_path: Path) -> None:
    result = tmp_path / "warm.json"
    command = [sys.executable, "-m", "verification.bench.warm_cpu", "ours", "2", str(result)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    events = {name: len(taken) for name, taken in json.loads(result.read_text()).items()}
    assert events == {
        "orderService": 2,
        "paymentProcessing": 2,
        "fulfillment": 2,
        "orderStatusUpdater": 4,
        "notification": 2,
        "auditLogger": 6,
    }

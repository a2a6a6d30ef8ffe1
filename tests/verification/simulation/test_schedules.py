"""Schedules of orders and faults: every promise is kept, and each schedule can be repeated."""

import ast
import os
import secrets
import subprocess
import sys
from itertools import count

import pytest

from orders.aws.store import OrdersTable
from tools import topology
from tools.checkout import ROOT
from verification.simulation.__main__ import main
from verification.simulation.faults import FaultKind, ScriptedFaults
from verification.simulation.schedule import run
from verification.simulation.shrinking import command, shortest

SHARE = 3  # schedules; `npm run simulate` plays hundreds
FRESH = secrets.randbelow(2**32)


@pytest.mark.parametrize("first", [0, FRESH], ids=["fixed seeds", "fresh seeds"])
def test_every_promise_is_kept_whatever_goes_wrong(first: int) -> None:
    for seed in range(first, first + SHARE):
        outcome = run(seed)
        assert outcome.ok, f"{outcome.violations[0]}; {command(outcome)}"


def test_among_a_few_schedules_every_kind_of_fault_strikes() -> None:
    seen: set[FaultKind] = set()
    for seed in range(60):
        seen |= {line.fault for line in run(seed, range(10)).trace.faults if line.fault}
        if seen == set(FaultKind):
            return
    assert seen == set(FaultKind)


def test_an_order_without_faults_ends_without_the_reconciler() -> None:
    outcome = run(1, [0], faults=lambda _: ScriptedFaults({}))

    assert outcome.ok
    assert not outcome.trace.faults
    assert not [line for line in outcome.trace.lines if "reconciler begins" in line.what]


def test_one_seed_gives_one_trace_in_any_process() -> None:
    code = "from verification.simulation.schedule import run; print(run(7).trace.digest())"
    elsewhere = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        text=True,
        capture_output=True,
        check=True,
    )
    assert elsewhere.stdout.strip() == run(7).trace.digest() != run(8).trace.digest()


def test_a_schedule_without_its_faults_is_one_without_faults() -> None:
    assert run(2).trace.faults
    assert not run(2, only=[]).trace.faults


@pytest.fixture
def a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim of the right to notify the customer always succeeds."""
    claim = OrdersTable.claim

    def careless(self, event, channel, *, owner, stale_after):  # type: ignore[no-untyped-def]
        order, claimed = claim(self, event, channel, owner=owner, stale_after=stale_after)
        return order, claimed or order.receipt(channel) is not None

    monkeypatch.setattr(OrdersTable, "claim", careless)


@pytest.mark.usefixtures("a_bug")
def test_what_breaks_a_promise_is_shown_as_a_short_trace_and_the_command_that_repeats_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a schedule that breaks one
    found = next(outcome for outcome in map(run, count()) if not outcome.ok)

    # when
    short = shortest(found)
    again = command(short)
    monkeypatch.setattr(sys, "argv", again.split(" -- ")[1].join(["simulate ", ""]).split())
    status = main()

    # then it needs one order, and no more faults than the whole schedule
    assert len(short.orders) == 1
    assert len(short.trace.faults) <= 2 < len(found.trace.faults)
    printed = capsys.readouterr().out
    assert status == 1
    assert short.violations[0] in printed.replace("\n", " ")
    assert again in printed
    assert "notification begins" in printed


@pytest.mark.usefixtures("a_bug")
def test_the_command_ends_with_the_first_broken_promise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulate", "--seeds", "40", "--first", "0", "--jobs", "1"])
    assert main() == 1
    assert "broke a promise" in capsys.readouterr().out


def test_the_command_sums_up_what_it_played(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulate", "--seeds", "3", "--first", "0", "--jobs", "1"])
    assert main() == 0
    printed = capsys.readouterr().out
    assert "3 schedules of 20 orders, seeds 0 to 2" in printed
    assert "every promise was kept" in printed
    assert "throttled" in printed


def test_what_the_simulator_replaces_is_back_afterwards() -> None:
    import boto3

    from orders import clock
    from orders.aws.gateway import SimulatedGateway

    def replaced() -> tuple[object, ...]:
        return boto3.client, clock.now, os.urandom, SimulatedGateway.charge, SimulatedGateway.cancel

    before = replaced()
    run(0, range(2))
    assert replaced() == before


def test_the_simulator_is_no_part_of_the_package() -> None:
    shipped = (ROOT / "tools" / "build.py").read_text()
    assert "verification" not in shipped


def test_the_simulator_names_no_function_queue_or_topic() -> None:
    kinds = ("AWS::SQS::Queue", "AWS::SNS::Topic")
    names = {*topology.functions(), *(name for name, each in topology.resources().items() if each["Type"] in kinds)}
    attributes = {"fulfillment", "notification"}  # of an order, named like the functions that store them
    for file in (ROOT / "verification" / "simulation").glob("*.py"):
        strings = {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)}
        assert strings & names <= attributes, file.name

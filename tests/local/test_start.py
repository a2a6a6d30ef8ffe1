"""`npm start` for real: what it prints, what it leaves behind, and how it ends."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.emulator.ports import free_port, is_taken
from operations.stack import described
from tools.checkout import ROOT

GENEROUS = 120  # seconds


def two_free_ports() -> int:
    """The first of two, both below those that Linux gives to outgoing connections, which would take the second one."""
    candidates = range(random.randrange(20_000, 30_000, 2), 32_000, 2)
    return next(port for port in candidates if not (is_taken(port) or is_taken(port + 1)))


def command(port: int | str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "local", "--port", str(port), *arguments]


def environment(state: Path) -> dict[str, str]:
    return {**os.environ, "ORDER_PROCESSING_STATE_DIR": str(state)}


@contextmanager
def started(state: Path, port: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m local`, with its output in `output.txt`; killed at the end if it still runs."""
    with (state / "output.txt").open("w") as output:
        process = subprocess.Popen(
            command(port, *arguments),
            cwd=ROOT,
            env=environment(state),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def printed(state: Path) -> str:
    return (state / "output.txt").read_text()


def wait(process: subprocess.Popen[str], state: Path, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + GENEROUS
    while not condition():
        assert process.poll() is None, printed(state)
        assert time.monotonic() < deadline, printed(state)
        time.sleep(0.05)


def descendants(ancestor: int) -> dict[int, str]:
    """Process id → command line, of all that a process started and they in turn."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    processes = [line.split(maxsplit=2) for line in listing.splitlines()]
    family = {ancestor}
    while grown := {int(pid) for pid, parent, *_ in processes if int(parent) in family} - family:
        family |= grown
    return {int(pid): " ".join(args) for pid, _, *args in processes if int(pid) in family - {ancestor}}


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def assert_nothing_is_left(state: Path, port: int, processes: dict[int, str]) -> None:
    assert processes
    for file in ("emulator.json", "stack.json", "token", "postman.json"):
        assert not (state / file).exists()
    deadline = time.monotonic() + GENEROUS
    while left := [args for pid, args in processes.items() if is_there(pid)]:  # until the system has taken note
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    for each in (port, port + 1):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", each)) != 0


def pasted(curl: str) -> Any:
    """The response to a command that was printed for the reader."""
    ran = subprocess.run(["bash", "-c", curl], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


APPROVED = [
    ("Fulfillment", "FulfillmentCompletedEvent"),
    ("Notification", "e-mail sent"),
    ("OrderService", "OrderPlacedEvent"),
    ("OrderService", "status PLACED"),
    ("OrderStatusUpdater", "status FULFILLED"),
    ("OrderStatusUpdater", "status PAID"),
    ("PaymentProcessing", "PaymentCompletedEvent"),
]
DECLINED = [
    ("Notification", "e-mail sent"),
    ("OrderService", "OrderPlacedEvent"),
    ("OrderService", "status PLACED"),
    ("OrderStatusUpdater", "status PAYMENT_FAILED"),
    ("PaymentProcessing", "PaymentFailedEvent"),
]
REFUNDED = [
    ("Notification", "e-mail sent"),
    ("OrderService", "OrderCancelledEvent"),
    ("OrderService", "OrderPlacedEvent"),
    ("OrderService", "status PLACED"),
    ("OrderStatusUpdater", "status CANCELLED"),
    ("OrderStatusUpdater", "status PAID"),
    ("OrderStatusUpdater", "status REFUNDED"),
    ("PaymentProcessing", "PaymentCompletedEvent"),
    ("PaymentProcessing", "PaymentRefundedEvent"),
]
"""Who did what, sorted: what happens side by side has no order."""
OVERTAKEN = {("OrderStatusUpdater", "status PAID"), ("OrderStatusUpdater", "status CANCELLED")}
"""The event of the next status may come first."""


def may_be_shown(lines: list[tuple[str, str]], expected: list[tuple[str, str]]) -> bool:
    """Whether nothing is missing but a status that the next one has overtaken."""
    return lines == [line for line in expected if line in lines or line not in OVERTAKEN]


def test_it_shows_each_sample_to_its_end_stays_until_it_is_stopped_and_keeps_a_second_start_away(
    tmp_path: Path,
) -> None:
    """`npm start -- --once`, which stops after the samples, is run by .ci/run."""
    port = two_free_ports()
    with started(tmp_path, port) as process:
        wait(process, tmp_path, lambda: "Ctrl-C" in printed(tmp_path))
        processes = descendants(process.pid)

        timelines = re.split("^Order .*$", printed(tmp_path), flags=re.MULTILINE)[1:]
        shown = [sorted(re.findall(r"\d ms  (\w+) .* → (.*)", timeline)) for timeline in timelines]
        for lines, expected in zip(shown, (APPROVED, DECLINED, DECLINED, REFUNDED), strict=True):
            assert may_be_shown(lines, expected), (lines, expected)
        assert re.findall("✉ to (.*): .*order", printed(tmp_path)) == 4 * ["ada@example.com"]
        assert "4 of 4 orders ended as they should" in printed(tmp_path)

        listing, placing = re.findall("^curl .*$", printed(tmp_path), re.MULTILINE)
        assert len(pasted(listing)["orders"]) == 4
        first, again = pasted(placing), pasted(placing)
        assert first["orderId"] == again["orderId"], "its key makes it one order"
        number = first["orderId"][:8].upper()
        wait(process, tmp_path, lambda: re.search(f"^{number}  .* e-mail sent$", printed(tmp_path), re.MULTILINE))
        streamed = re.findall(rf"^{number} +\d+ ms  (\w+) +→ (.*)$", printed(tmp_path), re.MULTILINE)
        assert may_be_shown(sorted(streamed), APPROVED), streamed
        assert re.search(r"^  │ Your tracking number is \w+\.$", printed(tmp_path), re.MULTILINE)
        assert (tmp_path / "token").stat().st_mode & 0o077 == 0

        environment_of_postman = json.loads((tmp_path / "postman.json").read_text())
        filled_in = {each["key"]: each["value"] for each in environment_of_postman["values"]}
        template = json.loads((ROOT / "docs" / "postman" / "local.json").read_text())
        assert [*filled_in] == [each["key"] for each in template["values"]]
        authorization = {"authorization": f"Bearer {filled_in['idToken']}"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{filled_in['apiUrl']}/orders", headers=authorization)
        ) as a:
            assert first["orderId"] in [order["orderId"] for order in json.load(a)["orders"]]
        assert (tmp_path / "postman.json").stat().st_mode & 0o077 == 0
        [_, way_on] = printed(tmp_path).split("\nWhat next?\n")
        offered = re.findall(r"^  (\S.*?)  +\S", way_on, re.MULTILINE)
        assert {"npm run notebooks", "Break it, on the storefront", "Ctrl-C"} <= {*offered}
        assert re.search(
            "^  Ctrl-C .*its orders and customers are then gone. `npm start -- --keep` keeps them$", way_on, re.M
        )
        [help_after_401] = re.findall("^A 401 means .*$", printed(tmp_path), re.MULTILINE)
        assert str(tmp_path / "token") in help_after_401

        running = described(json.loads((tmp_path / "stack.json").read_text()))
        rules = running.client("events").list_rules(EventBusName=running.outputs["EventBusName"])["Rules"]
        assert {rule["State"] for rule in rules} == {"ENABLED"}

        web = f"http://127.0.0.1:{port + 1}/"
        assert printed(tmp_path).index(web) < printed(tmp_path).index("\nOrder ")
        assert json.loads((tmp_path / "stack.json").read_text())["webUrl"] == web
        for file, content in (
            ("", b"<!doctype html>"),
            ("config.json", b'"breakIt":true'),
            ("api/products", b'"products"'),
        ):
            with urllib.request.urlopen(web + file) as answer:
                assert content in answer.read()

        second = subprocess.run(
            command(free_port()), cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True
        )
        assert second.returncode == 1
        assert second.stderr == (
            f"a local stack is already running at http://127.0.0.1:{port}, with the storefront at {web};"
            " use it, or press Ctrl-C in its terminal\n"
        )
        assert not [args for pid, args in processes.items() if "local.emulator.bridge" in args and not is_there(pid)]

        process.send_signal(signal.SIGTERM)
        assert process.wait(GENEROUS) == 0

    assert re.search(r"Stopping the embedded AWS … [\d.]+ s\n$", printed(tmp_path))
    assert_nothing_is_left(tmp_path, port, processes)


def test_a_stop_in_the_middle_of_the_deploy_leaves_nothing_behind(tmp_path: Path) -> None:
    port = two_free_ports()
    with started(tmp_path, port) as process:
        wait(process, tmp_path, lambda: any("sls" in args for args in descendants(process.pid).values()))
        processes = descendants(process.pid)

        process.send_signal(signal.SIGINT)  # to the one process: nobody else stops the deploy
        process.send_signal(signal.SIGINT)  # and somebody impatient

        assert process.wait(GENEROUS) == 128 + signal.SIGINT

    assert "Traceback" not in printed(tmp_path)
    assert printed(tmp_path).endswith("Stopped; nothing is left running.\n")
    assert_nothing_is_left(tmp_path, port, processes)


def test_a_port_of_the_storefront_s_that_is_taken_is_one_line_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        result = subprocess.run(command(taken - 1), cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True)

    assert result.returncode == 1
    assert re.fullmatch(rf"port {taken} is in use; use another: npm start -- --port \d+\n", result.stderr)
    assert not (tmp_path / "emulator.log").exists()


@pytest.mark.parametrize("given", ["--param=logLevel=LOUD", "--param=reconcileMaxOrders=1", "--param=storefront"])
def test_a_parameter_is_passed_on_to_the_deploy_which_says_what_is_wrong_with_it(given: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        command(two_free_ports(), given), cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True
    )

    assert ran.returncode == 1
    name = given.removeprefix("--param=").partition("=")[0]
    assert re.search(rf"^--param {name}: \S+", ran.stderr, re.MULTILINE), ran.stderr


@pytest.mark.parametrize("port", ["80", "65535", "http"])
def test_a_port_that_can_not_be_used_is_refused_in_one_line(port: str, tmp_path: Path) -> None:
    result = subprocess.run(command(port), cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True)

    assert result.returncode == 1
    assert result.stderr == f"--port takes a number from 1024 to 65534, not {port}\n"

"""`npm start` for real: what it prints, what it leaves behind, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
GENEROUS = 120  # seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(state: Path, port: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m local`, with its output in `output.txt`; killed at the end if it still runs."""
    with (state / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "--port", str(port), *arguments],
            cwd=CHECKOUT,
            env={**os.environ, "ORDER_PROCESSING_STATE_DIR": str(state)},
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


def wait_for(state: Path, text: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + GENEROUS
    while text not in printed(state):
        assert process.poll() is None, printed(state)
        assert time.monotonic() < deadline, printed(state)
        time.sleep(0.1)


def group_is_there(leader: int) -> bool:
    """The emulator leads a process group; its functions are in it."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def assert_nothing_is_left(state: Path, port: int, emulator: int) -> None:
    assert not (state / "emulator.json").exists()
    assert not (state / "stack.json").exists()
    deadline = time.monotonic() + GENEROUS
    while group_is_there(emulator):  # what was killed is gone once the system has taken note of it
        assert time.monotonic() < deadline, f"processes of group {emulator} are left"
        time.sleep(0.1)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_once_shows_each_sample_to_its_end_and_stops(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port, "--once") as process:
        wait_for(tmp_path, "Deploying", process)
        emulator = json.loads((tmp_path / "emulator.json").read_text())["pid"]

        assert process.wait(GENEROUS) == 0, printed(tmp_path)

    shown = printed(tmp_path)
    assert re.findall("PaymentCompletedEvent|PaymentFailedEvent|FulfillmentCompletedEvent", shown) == [
        "PaymentCompletedEvent",
        "FulfillmentCompletedEvent",
        "PaymentFailedEvent",
        "PaymentFailedEvent",
    ]
    assert re.findall(r"(?<=moved the status)\s+(\w+)", shown) == ["PAID", "FULFILLED", *2 * ["PAYMENT_FAILED"]]
    assert shown.count("✉") == 3
    assert_nothing_is_left(tmp_path, port, emulator)


def test_it_stays_until_it_is_told_to_stop_and_a_second_start_says_that_it_runs(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port) as process:
        wait_for(tmp_path, "until you press Ctrl-C", process)
        emulator = json.loads((tmp_path / "emulator.json").read_text())["pid"]

        curl = re.search(r"^  (curl .*)$", printed(tmp_path), re.MULTILINE)
        assert curl
        pasted = subprocess.run(["bash", "-c", curl[1]], cwd=CHECKOUT, capture_output=True, text=True, check=True)
        assert len(json.loads(pasted.stdout)["orders"]) == 3
        assert (tmp_path / "token").stat().st_mode & 0o077 == 0

        second = subprocess.run(
            [sys.executable, "-m", "local", "--port", str(free_port())],
            cwd=CHECKOUT,
            env={**os.environ, "ORDER_PROCESSING_STATE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert second.returncode == 1
        assert second.stderr == (
            f"a local stack is already running at http://127.0.0.1:{port}; use it, or press Ctrl-C in its terminal\n"
        )
        assert group_is_there(emulator)

        process.send_signal(signal.SIGTERM)
        assert process.wait(GENEROUS) == 0

    assert printed(tmp_path).endswith("Stopped.\n")
    assert_nothing_is_left(tmp_path, port, emulator)


def test_ctrl_c_in_the_middle_of_the_deploy_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port) as process:
        wait_for(tmp_path, "Deploying", process)
        emulator = json.loads((tmp_path / "emulator.json").read_text())["pid"]

        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the whole group, the deploy included

        assert process.wait(GENEROUS) == 130

    assert "Traceback" not in printed(tmp_path)
    assert_nothing_is_left(tmp_path, port, emulator)


@pytest.mark.parametrize("port", ["80", "65535"])
def test_a_port_that_can_not_be_used_is_refused(port: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "local", "--port", port], cwd=CHECKOUT, capture_output=True, text=True
    )

    assert result.returncode == 2
    assert "must be from 1024 to 65534" in result.stderr

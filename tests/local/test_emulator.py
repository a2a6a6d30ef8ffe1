"""The emulator as a process: alone, on this machine only, and gone with everything that it started."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.emulator import describe
from local.emulator import process as emulator_module
from local.emulator.ports import free_port, is_taken
from local.emulator.process import emulator
from local.emulator.state import LocalError, State
from tests.local.embedded_aws import EmbeddedAws, eventually
from tools.checkout import ROOT

NEVER_ENDS = """
import os, time
def handler(event, context):
    with open(event["notes"], "w") as notes:
        notes.write(str(os.getpid()))
    time.sleep(600)
"""
HOLDS_AN_EMULATOR = """
import sys, time
from pathlib import Path
from local.emulator.process import emulator
from local.emulator.state import State
with emulator(State(Path(sys.argv[1])), int(sys.argv[2])):
    time.sleep(600)
"""


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def busy_function(state: State, description: dict[str, Any], notes: Path) -> int:
    """The process id of a function that is in the middle of a long invocation."""
    aws = EmbeddedAws(description, state)
    function = aws.function(NEVER_ENDS, Timeout=900)
    event = json.dumps({"notes": str(notes)})
    aws.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=event)
    return int(eventually("the invocation", notes.read_text))


def assert_nothing_is_left(state: State, port: int, *processes: int) -> None:
    assert not state.emulator.exists()
    assert not state.temporary.exists()
    for process in processes:
        eventually(f"the end of process {process}", lambda process=process: not is_there(process))  # type: ignore[misc]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_it_stops_with_every_function_even_a_busy_one(tmp_path: Path, notes: Path) -> None:
    state, port = State(tmp_path), free_port()
    with emulator(state, port) as description:
        function = busy_function(state, description, notes)

    assert_nothing_is_left(state, port, description["pid"], function)


def test_it_stops_when_the_block_fails(tmp_path: Path) -> None:
    state, port = State(tmp_path), free_port()
    with pytest.raises(ZeroDivisionError), emulator(state, port) as description:
        _ = 1 / 0

    assert_nothing_is_left(state, port, description["pid"])


def test_it_ends_when_its_launcher_is_killed_and_the_next_start_clears_up(tmp_path: Path, notes: Path) -> None:
    state, port = State(tmp_path), free_port()
    launcher = subprocess.Popen([sys.executable, "-c", HOLDS_AN_EMULATOR, str(tmp_path), str(port)], cwd=ROOT)
    try:
        eventually("the emulator", state.emulator.exists)
        description = json.loads(state.emulator.read_text())
        function = busy_function(state, description, notes)
    finally:
        launcher.kill()
        launcher.wait()

    for process in (description["pid"], function):
        eventually(f"the end of process {process}", lambda process=process: not is_there(process))  # type: ignore[misc]
    assert state.emulator.exists()  # nobody was left to remove it

    state.stack.touch()
    with emulator(state, port):
        assert not state.stack.exists()
        assert json.loads(state.emulator.read_text())["secretAccessKey"] != description["secretAccessKey"]
    assert_nothing_is_left(state, port)


def test_it_starts_whatever_the_shell_says_of_aws_and_of_proxies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AWS_PROFILE": "gone", "AWS_RETRY_MODE": "bad", "http_proxy": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)

    with emulator(State(tmp_path), free_port()) as description:
        assert emulator_module.responds(description["endpointUrl"])


def test_a_second_one_with_the_same_state_says_where_the_first_is(tmp_path: Path) -> None:
    state, port = State(tmp_path), free_port()
    with emulator(state, port):
        with pytest.raises(LocalError) as refused, emulator(state, free_port()):
            pass
        assert str(refused.value) == (
            f"a local stack is already running at http://127.0.0.1:{port}; use it, or press Ctrl-C in its terminal"
        )
        assert state.emulator.exists()  # the first one's


def test_a_second_one_while_the_first_is_starting_says_so(tmp_path: Path) -> None:
    state = State(tmp_path)
    with emulator_module._alone(state), pytest.raises(LocalError) as refused, emulator(state, free_port()):
        pass
    assert str(refused.value) == "a local stack is just starting, or stopping, in another terminal"


def test_a_taken_port_is_refused_with_a_free_one_to_type(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalError) as refused, emulator(State(tmp_path), port):
            pass

    said = re.fullmatch(rf"port {port} is in use; use another: npm start -- --port (\d+)", str(refused.value))
    assert said
    with socket.create_server(("127.0.0.1", int(said[1]))):
        pass
    assert_nothing_is_left(State(tmp_path), free_port())


def test_a_port_that_another_emulator_takes_while_this_one_starts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one answers in its place, and must not be taken for it."""
    ours, port = State(tmp_path / "ours"), free_port()
    looks = [False]  # nobody has the port at the first look
    with emulator(State(tmp_path / "theirs"), port) as theirs:
        monkeypatch.setattr(emulator_module, "is_taken", lambda port: looks.pop() if looks else is_taken(port))
        with pytest.raises(LocalError, match=f"^port {port} is in use; use another: "), emulator(ours, port):
            pass

        assert is_there(theirs["pid"])
    assert_nothing_is_left(ours, port)


def test_one_that_does_not_start_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho one thing\necho there is no ministack >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))

    state = State(tmp_path / "state")
    with pytest.raises(LocalError) as failed, emulator(state, port := free_port()):
        pass

    assert str(failed.value) == f"the emulator did not start: there is no ministack (its log: {state.emulator_log})"
    assert_nothing_is_left(state, port)


def test_one_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(emulator_module, "_START_TIMEOUT_SECONDS", 0.5)

    state = State(tmp_path / "state")
    with (
        pytest.raises(LocalError, match="in vain for the emulator's first response"),
        emulator(state, port := free_port()),
    ):
        pass

    assert_nothing_is_left(state, port, int((tmp_path / "pid").read_text()))


def test_it_listens_on_this_machine_only(aws: EmbeddedAws) -> None:
    with socket.socket() as probe:
        probe.settimeout(5)
        assert probe.connect_ex(("127.0.0.2", int(aws.url.rpartition(":")[2]))) != 0  # 0.0.0.0 would answer there


def test_it_is_described_to_its_owner_alone(tmp_path: Path) -> None:
    state = State(tmp_path)
    with emulator(state, free_port()) as description:
        assert json.loads(state.emulator.read_text()) == description
        assert description.keys() == {"endpointUrl", "region", "accessKeyId", "secretAccessKey", "pid"}
        assert state.emulator.stat().st_mode & 0o777 == 0o600
        assert state.temporary.stat().st_mode & 0o777 == 0o700


def test_an_endpoint_that_is_not_on_this_machine_is_refused(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.emulator.write_text(json.dumps({"endpointUrl": "https://sqs.us-east-1.amazonaws.com"}))

    with pytest.raises(LocalError) as refused:
        describe.describe(state)

    assert str(refused.value) == (
        "https://sqs.us-east-1.amazonaws.com is not on this machine; stage local talks to nothing else"
    )
    assert not state.stack.exists()


def test_nothing_is_described_where_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(LocalError) as refused:
        describe.describe(State(tmp_path))

    assert str(refused.value) == "no local stack is running; start one with: npm start"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_emulator_alone_ends_its_functions_too(
    number: signal.Signals, tmp_path: Path, notes: Path
) -> None:
    state, port = State(tmp_path), free_port()
    with emulator(state, port) as description:
        function = busy_function(state, description, notes)
        os.kill(description["pid"], number)
        eventually("the end of the emulator", lambda: not emulator_module.responds(description["endpointUrl"]))

    assert_nothing_is_left(state, port, description["pid"], function)

"""The deploy as a process: an interrupt ends everything that it started."""

import os
import signal
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from local.emulator.state import State
from local.launcher import running

GENEROUS = 60  # seconds


class Interrupted(Exception):
    pass


def interrupt(_number: int, _frame: Any) -> None:
    raise Interrupted


def test_an_interrupted_deploy_takes_along_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = tmp_path / "started"
    sls = tmp_path / "sls"
    sls.write_text(f"#!/bin/sh\nsh -c 'echo $$ > {started}.draft; mv {started}.draft {started}; exec sleep 600'\n")
    sls.chmod(0o755)
    monkeypatch.setattr(running, "_SLS", sls)

    def interrupt_once_started() -> None:
        deadline = time.monotonic() + GENEROUS
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        Thread(target=interrupt_once_started).start()
        with pytest.raises(Interrupted):
            running._deploy(State(tmp_path), {})
    finally:
        signal.signal(signal.SIGALRM, before)

    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)

"""Starts the proxy between the functions and AWS and its faults, and shortens the time-outs for a chaos run."""

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from local.emulator.state import State
from local.emulator.waiting import until
from operations.loopback import HOST
from operations.stack import Stack
from tools import topology
from tools.checkout import ROOT
from verification.chaos.faults import LOSES_THE_RESPONSE, FaultRule, faults

NOTIFICATION_TIMEOUT_SECONDS = 10
"""Time-out of Notification, after which its claim is stale; 30 as deployed."""
VISIBILITY_TIMEOUT_SECONDS = 12
"""Of the notification queue; 180 as deployed."""


class FaultStatistics(NamedTuple):
    """microburst's own statistics."""

    calls: Counter[str]
    """By service."""
    faults: Counter[tuple[str, str]]
    """By service and kind."""


class FaultProxy:
    """The running proxy."""

    def __init__(self, url: str, seed: int, log: Path) -> None:
        self.url = url
        self._log = log
        self._faults = faults(seed)
        self._rules: dict[int, FaultRule] = {}

    def route_functions(self, stack: Stack) -> None:
        """Route every function's calls through the proxy. Raises LocalError."""
        until(self._responds, seconds=60, what=f"the proxy's first response (its log: {self._log})")
        for function in topology.functions():
            stack.configure(function, AWS_ENDPOINT_URL=self.url)

    def start_faults(self) -> None:
        rules = self._call("POST", "rules", [fault.rule for fault in self._faults])
        self._rules = {rule["id"]: fault for rule, fault in zip(rules, self._faults, strict=True)}

    def stop_faults(self) -> None:
        """Let every call pass from now on, and kill no process."""
        self._call("POST", "rules", [])

    def statistics(self) -> FaultStatistics:
        stats = self._call("GET", "stats")
        count: Counter[tuple[str, str]] = Counter()
        for rule in stats["by_rule"]:
            fault = self._rules[rule["id"]]
            count[fault.service, fault.kind] += rule["fired"]
        return FaultStatistics(Counter({each["service"]: each["requests"] for each in stats["by_service"]}), count)

    @property
    def kinds(self) -> Mapping[int, str]:
        """Rule of microburst → kind of its fault."""
        return {number: fault.kind for number, fault in self._rules.items()}

    @property
    def loses_response(self) -> frozenset[int]:
        """The rules of microburst that lose a response."""
        return frozenset(number for number, kind in self.kinds.items() if kind in LOSES_THE_RESPONSE)

    def _responds(self) -> bool:
        try:
            return bool(self.statistics())
        except OSError:
            return False

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_microburst/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@contextmanager
def running_proxy(state: State, *, seed: int, port: int, emulator_port: int) -> Iterator[FaultProxy]:
    """Run the proxy within the block. Start it before the emulator: it takes seconds to be ready."""
    url, log = f"http://{HOST}:{port}", state.folder / "proxy.log"
    state.folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "verification.chaos.proxy", "--upstream", f"http://{HOST}:{emulator_port}"]
    command += ["--port", str(port), "--state", str(state.folder), "--seed", str(seed)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield FaultProxy(url, seed, log)
    finally:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def shorten_timeouts(stack: Stack) -> None:
    """Let a killed notification be retried after seconds and not, as on AWS, after minutes."""
    stack.configure(
        "notification", timeout=NOTIFICATION_TIMEOUT_SECONDS, CLAIM_SECONDS=str(NOTIFICATION_TIMEOUT_SECONDS)
    )
    attributes = {"VisibilityTimeout": str(VISIBILITY_TIMEOUT_SECONDS)}
    stack.client("sqs").set_queue_attributes(QueueUrl=stack.outputs["NotificationQueueUrl"], Attributes=attributes)

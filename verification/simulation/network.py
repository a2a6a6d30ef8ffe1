"""The network between the code and AWS: latency, faults, and the SDK's retries."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from verification.simulation.faults import CALL, FaultKind, Faults
from verification.simulation.random_source import RandomSource
from verification.simulation.trace import Trace
from verification.simulation.world import FOR_EVER_SECONDS, Killed, World

_LATENCY_SECONDS = (0.002, 0.03)  # one way
_SLOW_SECONDS = (0.1, 0.9)  # one way; the round trip stays below the clients' read time-out of 2 s
_CRASHES = {FaultKind.CRASH_BEFORE, FaultKind.HANGS}
_CRASHES_AFTER = {FaultKind.CRASH_AFTER, FaultKind.HANGS_AFTER}
_ERRORS = {FaultKind.THROTTLED: ("ThrottlingException", 400), FaultKind.BROKEN: ("InternalServerError", 500)}


class Network:
    """Carries the calls of the processes. At each call other processes may run, and a fault may strike."""

    def __init__(self, world: World, faults: Faults, rng: RandomSource, trace: Trace) -> None:
        self._world = world
        self._faults = faults
        self._rng = rng
        self._trace = trace

    def call(
        self,
        action: str,
        effect: Callable[[FaultKind | None], Any],
        *,
        attempts: int,
        read_timeout_seconds: float = 2.0,
        detail: str = "",
        special: FaultKind | None = None,
    ) -> Any:
        """Make a call as the SDK does: at most `attempts` times on throttling, server errors and lost responses.

        The process waits `read_timeout_seconds` for a lost response. The effect takes place at one moment. It gets the
        fault as its argument, so that it can carry out the `special` one.
        """
        process = self._world.process
        if process.dead:
            raise Killed
        thread = self._world.thread
        thread.calls += 1
        place = f"{thread.name}/{thread.calls}.{action}"
        kinds = (special, *CALL) if special else CALL
        error: Exception | None = None
        for attempt in range(1, attempts + 1):
            here = place if attempt == 1 else f"{place}.{attempt}"
            fault = self._faults.at(here, kinds)
            if fault:
                process.faults.append(fault)
            self._trace.record(process, f"{action} {detail}".rstrip(), fault, here)
            latency = self._rng.between(
                f"way {here}", *(_SLOW_SECONDS if fault is FaultKind.SLOW else _LATENCY_SECONDS)
            )
            self._world.wait(latency)
            if fault in _CRASHES:
                self._crash(fault)
            if fault in _ERRORS:
                code, status = _ERRORS[fault]
                failure: Any = {
                    "Error": {"Code": code, "Message": fault.value},
                    "ResponseMetadata": {"HTTPStatusCode": status},
                }
                error = ClientError(failure, action)
                self._world.wait(0.1 * 2**attempt)
                continue
            refusal: ClientError | None = None
            response = None
            try:
                response = effect(fault)
            except ClientError as raised:  # a refusal is a response as well, and can be lost
                refusal = raised
            except ReadTimeoutError as raised:
                self._world.wait(read_timeout_seconds)
                error = raised
                break
            if fault in _CRASHES_AFTER:
                self._crash(fault)
            if fault is FaultKind.LOST:
                self._world.wait(read_timeout_seconds)
                error = ReadTimeoutError(endpoint_url="https://simulated.invalid", error=fault.value)
                continue
            self._world.wait(latency)
            if refusal:
                raise refusal
            return response
        assert error
        process.excused, process.failed_call = True, action
        raise error

    def _crash(self, fault: FaultKind) -> None:
        self._world.process.excused = True
        if fault in {FaultKind.HANGS, FaultKind.HANGS_AFTER}:
            self._world.wait(FOR_EVER_SECONDS)
        self._world.process.die()

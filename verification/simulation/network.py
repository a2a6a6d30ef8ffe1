"""The way of a call to AWS and back, with the SDK's own retries, and all that can happen on it."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from verification.simulation.faults import CALL, FaultKind, Faults
from verification.simulation.random_source import RandomSource
from verification.simulation.trace import Trace
from verification.simulation.world import FOR_EVER, Killed, World

LATENCY = (0.002, 0.03)  # seconds one way
SLOW = (0.1, 0.9)  # both ways together below the clients' read time-out of 2 s
_CRASHES = {FaultKind.CRASH_BEFORE, FaultKind.HANGS}
_CRASHES_AFTER = {FaultKind.CRASH_AFTER, FaultKind.HANGS_AFTER}
_ERRORS = {FaultKind.THROTTLED: ("ThrottlingException", 400), FaultKind.BROKEN: ("InternalServerError", 500)}


class Network:
    """Between a process and AWS. Every call is a place where others may go on, and where it may end."""

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
        read_timeout: float = 2.0,
        detail: str = "",
        special: FaultKind | None = None,
    ) -> Any:
        """Carry out a call as the SDK does: `attempts` times in all on throttling, server errors and lost answers.

        A lost answer is waited for as long as `read_timeout` says, in seconds.

        The effect takes place at one moment, however long the way. It gets the special fault, if that is what happens.
        """
        process = self._world.process
        if process.dead:
            raise Killed
        process.calls += 1
        place = f"{process.name}/{process.calls}.{action}"
        kinds = (special, *CALL) if special else CALL
        error: Exception | None = None
        for attempt in range(1, attempts + 1):
            here = place if attempt == 1 else f"{place}.{attempt}"
            fault = self._faults.at(here, kinds)
            if fault:
                process.faults.append(fault)
            self._trace.record(process, f"{action} {detail}".rstrip(), fault, here)
            way = self._rng.between(f"way {here}", *(SLOW if fault is FaultKind.SLOW else LATENCY))
            self._world.wait(way)
            if fault in _CRASHES:
                self._end(fault)
            if fault in _ERRORS:
                code, status = _ERRORS[fault]
                response: Any = {
                    "Error": {"Code": code, "Message": fault.value},
                    "ResponseMetadata": {"HTTPStatusCode": status},
                }
                error = ClientError(response, action)
                self._world.wait(0.1 * 2**attempt)
                continue
            refusal: ClientError | None = None
            answer = None
            try:
                answer = effect(fault)
            except ClientError as raised:  # AWS refuses; that, too, is an answer that can be lost
                refusal = raised
            if fault in _CRASHES_AFTER:
                self._end(fault)
            if fault is FaultKind.LOST:
                self._world.wait(read_timeout)
                error = ReadTimeoutError(endpoint_url="https://simulated.invalid", error=fault.value)
                continue
            self._world.wait(way)
            if refusal:
                raise refusal
            return answer
        assert error
        process.excused, process.failed_call = True, action
        raise error

    def _end(self, fault: FaultKind) -> None:
        self._world.process.excused = True
        if fault in {FaultKind.HANGS, FaultKind.HANGS_AFTER}:
            self._world.wait(FOR_EVER)
        self._world.process.die()

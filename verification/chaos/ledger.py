"""What the proxy did to which call, and so to which order."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from local.emulator.state import State

READ_TIMEOUT_SECONDS = 1.9
"""A response as late as this may have come too late: orders/aws/client.py has a read time-out of two seconds."""


class ObservedCall(NamedTuple):
    """A call that a function, or the operator, made of AWS."""

    at: float
    """Seconds since 1970."""
    seconds: float
    """Until it was answered, or given up."""
    service: str
    operation: str
    function: str | None
    """None is the operator."""
    process: int | None
    order: str | None
    phone: str | None
    receipt: str | None
    """`email` or `sms`, where the call stores that the message was sent."""
    rule: int | None
    """microburst's, of the fault that happened to it."""
    killed: str | None
    """`before` or `after` AWS did it, its worker was killed."""
    status: int | None
    """AWS's answer; None where the call did not get there."""

    @property
    def disturbed(self) -> bool:
        return bool(self.rule or self.killed) or self.seconds > READ_TIMEOUT_SECONDS

    @property
    def matters(self) -> bool:
        return self.disturbed or self.function == "notification"

    @property
    def sends(self) -> bool:
        """Whether a message went out by it."""
        return self.service in {"ses", "sns"} and self.status == 200


def ledger_of(state: State) -> Path:
    """Where the proxy writes it."""
    return state.folder / "ledger.jsonl"


def read(ledger: Path, phones: Mapping[str, str]) -> list[ObservedCall]:
    """All calls that matter, in the order of time. `phones` has the order of each phone number."""
    calls = [ObservedCall(**json.loads(line)) for line in ledger.read_text().splitlines()]
    calls = [call._replace(order=phones.get(call.phone)) if call.phone else call for call in calls]
    return sorted(calls, key=lambda call: call.at)


def may_repeat(calls: Iterable[ObservedCall], lost: frozenset[int], timed_out: bool) -> dict[tuple[str, str], int]:
    """By order and channel, how often a sent message could not be recorded: each may be sent once more.

    That is so where the worker was killed in between, where the answer to the sending was lost (by one of these rules,
    or it came too late), or where every attempt at storing the receipt was disturbed. Where functions `timed_out`, also
    where the worker was never heard of again.
    """
    by_order: defaultdict[str, list[ObservedCall]] = defaultdict(list)
    heard: dict[int | None, float] = {}
    for call in calls:
        if call.function == "notification":
            heard[call.process] = call.at
            if call.order:
                by_order[call.order].append(call)
    allowed: Counter[tuple[str, str]] = Counter()
    for order, calls_of_order in by_order.items():
        for position, call in enumerate(calls_of_order):
            if not call.sends:
                continue
            channel = "email" if call.service == "ses" else "sms"
            awaited = bool(call.killed) or call.rule in lost or call.seconds > READ_TIMEOUT_SECONDS
            awaited = awaited or (timed_out and heard[call.process] == call.at)
            if awaited or _could_not_record(calls_of_order[position + 1 :], call, channel):
                allowed[order, channel] += 1
    return dict(allowed)


def _could_not_record(later: Iterable[ObservedCall], sending: ObservedCall, channel: str) -> bool:
    """Whether the worker tried to store the receipt, and each attempt was kept from AWS."""
    before_the_next = takewhile(lambda call: not (call.sends and call.service == sending.service), later)
    attempts = [call for call in before_the_next if call.process == sending.process and call.receipt == channel]
    return bool(attempts) and all(call.disturbed and call.status != 200 for call in attempts)

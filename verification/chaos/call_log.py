"""The call log: the calls through the proxy, each with its fault."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from local.emulator.state import State

LATE_RESPONSE_SECONDS = 1.9
"""A response this slow may have come too late: orders/aws/client.py has a read time-out of two seconds."""


class ObservedCall(NamedTuple):
    """A call of AWS by a function or the operator."""

    at: float
    """Seconds since 1970."""
    seconds: float
    """Until its response, or until the caller gave up."""
    service: str
    operation: str
    function: str | None
    """None for the operator."""
    process: int | None
    order: str | None
    phone: str | None
    receipt: str | None
    """`email` or `sms`, if the call stores the receipt of that message."""
    rule: int | None
    """The rule of microburst whose fault struck it."""
    killed: str | None
    """`before` or `after`, if its process was killed before or after the call took effect."""
    status: int | None
    """The status of AWS's response; None if the call did not reach AWS."""

    @property
    def disturbed(self) -> bool:
        return bool(self.rule or self.killed) or self.seconds > LATE_RESPONSE_SECONDS

    @property
    def matters(self) -> bool:
        return self.disturbed or self.function == "notification"

    @property
    def sends(self) -> bool:
        """Whether it sent a message."""
        return self.service in {"ses", "sns"} and self.status == 200


def call_log_of(state: State) -> Path:
    """Return the path to which the proxy writes the log."""
    return state.folder / "calls.jsonl"


def read_calls(call_log: Path, phones: Mapping[str, str]) -> list[ObservedCall]:
    """Return all calls that matter, by time. `phones` has the order of each phone number."""
    calls = [ObservedCall(**json.loads(line)) for line in call_log.read_text().splitlines()]
    calls = [call._replace(order=phones.get(call.phone)) if call.phone else call for call in calls]
    return sorted(calls, key=lambda call: call.at)


def may_repeat(
    calls: Iterable[ObservedCall], loses_response: frozenset[int], timed_out: bool
) -> dict[tuple[str, str], int]:
    """Count, by order and channel, the sent messages that could not be recorded: each may be sent once more.

    A message could not be recorded if its process was killed in between, if the response to the sending was lost (by
    one of these rules, or because it was late), or if every attempt to store the receipt was disturbed. Where functions
    `timed_out`, it is also enough that the process made no further call.
    """
    by_order: defaultdict[str, list[ObservedCall]] = defaultdict(list)
    last_call: dict[int | None, float] = {}
    for call in calls:
        if call.function == "notification":
            last_call[call.process] = call.at
            if call.order:
                by_order[call.order].append(call)
    allowed: Counter[tuple[str, str]] = Counter()
    for order, calls_of_order in by_order.items():
        for position, call in enumerate(calls_of_order):
            if not call.sends:
                continue
            channel = "email" if call.service == "ses" else "sms"
            response_lost = bool(call.killed) or call.rule in loses_response or call.seconds > LATE_RESPONSE_SECONDS
            response_lost = response_lost or (timed_out and last_call[call.process] == call.at)
            if response_lost or _could_not_record(calls_of_order[position + 1 :], call, channel):
                allowed[order, channel] += 1
    return dict(allowed)


def _could_not_record(later: Iterable[ObservedCall], sending: ObservedCall, channel: str) -> bool:
    """Whether the process tried to store the receipt, and no attempt reached AWS."""
    before_next_sending = takewhile(lambda call: not (call.sends and call.service == sending.service), later)
    attempts = [call for call in before_next_sending if call.process == sending.process and call.receipt == channel]
    return bool(attempts) and all(call.disturbed and call.status != 200 for call in attempts)

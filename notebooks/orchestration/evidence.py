"""The evidence in the history of an execution. Nothing here calls AWS.

    path(events)                 the states, as they were entered
    attempts(events, state)      the time of each start of the state's task
    transitions(events)          the number that Step Functions bills: states entered, and retries
    milliseconds(events)         from the first state to the end
    invocations(events)          how often a task was started
    as_rows(events)              the states as rows of an audit log, each caused by the one before: for tour.tree
    history(events)              each attempt, with its error if it failed: for tour.table

`events` are those of GetExecutionHistory, in order.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

Event = Mapping[str, Any]
_ENDED = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")


class Visit(NamedTuple):
    """One visit to one state."""

    state: str
    entered: Event
    events: Sequence[Event]
    """What happened in it: attempts, failures, success."""


def visits(events: Sequence[Event]) -> Iterator[Visit]:
    """The visits, in order. In these state machines no two states are active at once."""
    starts = [number for number, event in enumerate(events) if "stateEnteredEventDetails" in event]
    for start, end in pairwise([*starts, len(events)]):
        yield Visit(events[start]["stateEnteredEventDetails"]["name"], events[start], events[start + 1 : end])


def path(events: Sequence[Event]) -> list[str]:
    return [visit.state for visit in visits(events)]


def attempts(events: Sequence[Event], state: str) -> list[str]:
    """The times of the attempts, in ISO 8601."""
    return [_iso(event) for visit in visits(events) if visit.state == state for event in _started(visit)]


def transitions(events: Sequence[Event]) -> int:
    """States entered, and each retry of a task."""
    return sum(max(1, len(_started(visit))) for visit in visits(events))


def invocations(events: Sequence[Event]) -> int:
    return sum(len(_started(visit)) for visit in visits(events))


def milliseconds(events: Sequence[Event]) -> int:
    """From the first state to the end. The start is left out: the embedded AWS waits 150 ms before the first state."""
    first = next(visits(events)).entered
    return _between(first, events[-1])


def milliseconds_of_an_order(order: Mapping[str, Any]) -> int:
    """From placing a choreographed order to notifying its customer, as the order shows it."""
    placed, notified = (datetime.fromisoformat(at) for at in (order["placedAt"], order["notification"]["at"]))
    return round((notified - placed).total_seconds() * 1000)


def as_rows(events: Sequence[Event]) -> list[dict[str, Any]]:
    stays = list(visits(events))
    return [
        {
            "eventType": visit.state,
            "source": "state machine",
            "timestamp": _iso(visit.entered),
            "domainEventId": f"state {number + 1}",
            "causationId": f"state {number}" if number else None,
            "attempt": 1,
        }
        for number, visit in enumerate(stays)
    ]


def history(events: Sequence[Event]) -> list[dict[str, str]]:
    """State by state, attempt by attempt: rows for tour.table."""
    start = next(visits(events)).entered
    return [
        {"when": f"+{_between(start, event)} ms", "state": visit.state, "what happened": text}
        for visit in visits(events)
        for event in (visit.entered, *visit.events)
        if (text := _in_words(event))
    ]


def error_message(cause: str) -> str:
    """The message of a function's error. Step Functions reports it as JSON in a string."""
    try:
        found = json.loads(cause)
    except ValueError:
        return cause
    return str(found["errorMessage"]) if isinstance(found, dict) and "errorMessage" in found else cause


def _in_words(event: Event) -> str | None:
    match event["type"]:
        case "TaskScheduled":
            return "attempt"
        case "TaskFailed":
            return f"failed: {error_message(event['taskFailedEventDetails'].get('cause', ''))}"
        case "TaskTimedOut":
            return "timed out"
        case "TaskSucceeded":
            return "succeeded"
        case "ChoiceStateEntered":
            return "decision"
        case kind if kind in _ENDED:
            return f"the execution has ended: {kind.removeprefix('Execution').upper()}"
    return None


def _started(visit: Visit) -> list[Event]:
    return [event for event in visit.events if event["type"] == "TaskScheduled"]


def _between(first: Event, last: Event) -> int:
    passed: timedelta = last["timestamp"] - first["timestamp"]
    return round(passed / timedelta(milliseconds=1))


def _iso(event: Event) -> str:
    return str(event["timestamp"].isoformat(timespec="milliseconds"))

"""The operator's view of the local stack: failed attempts, dead letters, and what became of them."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from local.terminal.timeline import OrderView
from local.watching import queues as reading
from local.watching.logs import LogLine, Logs
from local.watching.queues import DeadLetterQueues
from local.watching.sightings import SeenLetter, Sightings, attempts_of, was_redriven
from operations.dead_letters import DeadLetter, dead_letters
from operations.stack import Outputs, Stack
from orders.clock import moment
from tests.e2e.waiting import wait_for
from tests.unit.dead_letter_queues import NOTIFICATIONS, POISON, STACK, Queues

ORDER = "8c1f5f0e-0000-4000-8000-000000000001"


def at(seconds: int) -> str:
    return f"2026-01-31T09:30:{seconds:02}.000Z"


def error(request_id: str, second: int = 0, function: str = "paymentProcessing", event_id: str = "envelope") -> LogLine:
    content = {
        "level": "ERROR",
        "message": "GatewayUnavailable: the payment gateway does not respond",
        "requestId": request_id,
        "eventId": event_id,
        "eventType": "OrderPlacedEvent",
        "orderId": ORDER,
    }
    return LogLine(function, ORDER, at(second), content)


@pytest.fixture
def sightings() -> Sightings:
    return Sightings(NOTIFICATIONS, f"{STACK}-")


# --- attempts ---------------------------------------------------------------------------------------------------------


def test_the_attempts_at_an_event_are_counted_by_their_request_id(sightings: Sightings) -> None:
    for line in (error("a", 1), error("a", 2), error("a", 4), error("redriven", 9)):
        assert sightings.failed(line)

    assert [(each.attempt, each.of, each.at) for each in sightings.attempts(ORDER)] == [
        (1, 3, at(1)),
        (2, 3, at(2)),
        (3, 3, at(4)),
        (1, 3, at(9)),
    ]
    assert sightings.attempts("another") == ()


def test_a_message_that_sqs_delivers_again_is_the_next_attempt_though_its_request_id_is_new(
    sightings: Sightings,
) -> None:
    for number in range(6):
        sightings.failed(error(f"request {number}", function="notification"))

    assert [(each.attempt, each.of) for each in sightings.attempts(ORDER)] == [(n, 5) for n in (1, 2, 3, 4, 5, 1)]


@pytest.mark.parametrize(
    "line",
    [
        error("a")._replace(function="orderService"),
        error("a")._replace(content={**error("a").content, "level": "WARNING"}),
        error("a")._replace(content={**error("a").content, "eventId": None}),
        error("a")._replace(content={**error("a").content, "requestId": ["a"]}),
    ],
    ids=["of no event's function", "no error", "no event", "no request"],
)
def test_a_line_without_an_attempt_is_ignored(sightings: Sightings, line: LogLine) -> None:
    assert not sightings.failed(line)
    assert sightings.attempts(ORDER) == ()


def test_the_number_of_attempts_is_the_one_that_is_declared() -> None:
    assert [attempts_of(name) for name in ("paymentProcessing", "notification", "reconciler", "orderService")] == [
        *(3, 5, 1),
        0,
    ]


# --- dead letters -----------------------------------------------------------------------------------------------------


def letter(message_id: str = "m1", function: str = "paymentProcessing") -> DeadLetter:
    event = {
        "id": "envelope",
        "detail-type": "OrderPlacedEvent",
        "detail": {"metadata": {"eventId": "fact"}, "data": {"orderId": ORDER}},
    }
    target = f"arn:aws:lambda:us-east-1:000000000000:function:{STACK}-{function}"
    return DeadLetter("queue", message_id, event, target, "the reason it was kept with", "{}")


def only(sightings: Sightings) -> SeenLetter:
    [seen] = sightings.letters(ORDER)
    return seen


def test_a_dead_letter_is_there_until_a_complete_reading_lacks_it(sightings: Sightings) -> None:
    assert sightings.read([letter()], at(5), is_complete=True) == {ORDER}
    assert sightings.read([letter()], at(6), is_complete=True) == set()
    assert sightings.read([], at(7), is_complete=False) == set(), "somebody else holds it"
    assert (only(sightings).gone_at, sightings.present) == (None, 1)

    assert sightings.read([], at(8), is_complete=True) == {ORDER}

    seen = only(sightings)
    assert (seen.function, seen.seen_at, seen.last_at, seen.gone_at) == ("paymentProcessing", at(5), at(6), at(8))
    assert sightings.present == 0


def test_a_dead_letter_of_notification_has_the_reason_of_its_last_attempt(sightings: Sightings) -> None:
    sightings.failed(error("a", function="notification"))
    sightings.read([letter()._replace(target=NOTIFICATIONS)], at(5), is_complete=True)

    assert only(sightings).function == "notification"
    assert only(sightings).reason == "GatewayUnavailable: the payment gateway does not respond"


def test_a_redrive_by_this_process_is_known(sightings: Sightings) -> None:
    sightings.read([letter()], at(5), is_complete=True)
    sightings.redriven(letter(), at(6))
    sightings.read([], at(7), is_complete=True)

    assert (only(sightings).gone_at, was_redriven(only(sightings), (), None)) == (at(6), True)


# --- a redrive by another process -------------------------------------------------------------------------------------


@pytest.fixture
def gone(sightings: Sightings) -> SeenLetter:
    """A dead letter, last seen after 6 seconds, that was gone after 8: nobody says why."""
    sightings.read([letter()], at(5), is_complete=True)
    sightings.read([letter()], at(6), is_complete=True)
    sightings.read([], at(8), is_complete=True)
    return only(sightings)


def view(*, paid_at: int | None = None, again_at: int | None = None) -> OrderView:
    """An order of second 0: whether it was paid, and whether its event was published again."""
    placed = {
        "eventId": "envelope",
        "eventType": "OrderPlacedEvent",
        "source": "order-processing.orders",
        "domainEventId": "fact",
        "causationId": None,
        "timestamp": at(0),
        "loggedAt": at(0),
        "attempt": 1,
    }
    trail: list[Mapping[str, Any]] = [placed]
    if again_at is not None:
        trail.append({**placed, "eventId": "again", "attempt": 2, "loggedAt": at(again_at)})
    if paid_at is not None:
        paid = {"eventType": "PaymentCompletedEvent", "source": "order-processing.payment", "causationId": "fact"}
        ids = {"eventId": "paid", "domainEventId": "payment", "timestamp": at(paid_at), "loggedAt": at(paid_at)}
        trail.append({**placed, **paid, **ids})
    history = [{"status": "PLACED", "at": at(0), "eventId": "fact"}]
    return OrderView({"status": "PLACED", "placedAt": at(0), "statusHistory": history}, trail)


def test_a_dead_letter_that_is_there_was_not_redriven(sightings: Sightings) -> None:
    sightings.read([letter()], at(5), is_complete=True)

    assert was_redriven(only(sightings), (), view(paid_at=9)) is False


def test_a_redriven_event_that_fails_again_is_evidence_of_its_redrive(sightings: Sightings, gone: SeenLetter) -> None:
    sightings.failed(error("first", 4))
    assert was_redriven(gone, sightings.attempts(ORDER), None) is None, "it is what made it a dead letter"

    sightings.failed(error("second", 9))
    assert was_redriven(gone, sightings.attempts(ORDER), None) is True


def test_a_step_that_is_done_though_nobody_published_its_event_again_is_evidence_of_a_redrive(gone: SeenLetter) -> None:
    assert was_redriven(gone, (), view(paid_at=9)) is True


@pytest.mark.parametrize(
    "seen_of_it",
    [None, view(), view(paid_at=3), view(paid_at=9, again_at=7)],
    ids=["no order", "purged, or nothing happened yet", "done before", "the reconciler may have done it"],
)
def test_without_evidence_nobody_says_that_it_was_redriven(gone: SeenLetter, seen_of_it: OrderView | None) -> None:
    assert was_redriven(gone, (), seen_of_it) is None


# --- the reader of the queues -----------------------------------------------------------------------------------------


def reader_of(queues: Queues) -> DeadLetterQueues:
    return DeadLetterQueues(queues.stack, lambda *_: None, lambda _: None)


def test_a_look_at_queues_in_which_nothing_has_changed_receives_nothing() -> None:
    queues, reader = Queues(), None
    queues.put_failure(POISON)
    reader = reader_of(queues)

    reader.look(known=1)
    assert queues.receives == 0

    reader.look(known=0)
    assert queues.receives > 0


def test_a_look_leaves_alone_what_somebody_else_holds() -> None:
    """Else a redrive in another terminal would not find what the look hides for a moment."""
    queues = Queues()
    for _ in range(2):
        queues.put_failure(POISON)
    queues.receive_message(QueueUrl=queues.stack.outputs["DeadLetterQueueUrl"], VisibilityTimeout=60)
    queues.put_failure(POISON)
    receives = queues.receives

    reader_of(queues).look(known=0)

    assert queues.receives == receives


def test_a_reading_while_another_process_holds_dead_letters_is_incomplete() -> None:
    queues, told = Queues(), []
    queues.put_failure(POISON)
    reader = DeadLetterQueues(queues.stack, lambda letters, complete: told.append((len(letters), complete)), print)
    reader.letters()
    queues.receive_message(QueueUrl=queues.stack.outputs["DeadLetterQueueUrl"], VisibilityTimeout=60)
    reader.letters()

    assert told == [(1, True), (0, False)]


def test_all_that_wait_for_a_reading_of_the_dead_letters_share_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the readings of pages that have left would queue up before the one that somebody waits for."""
    queues, began, may_end = Queues(), Event(), Event()
    for _ in range(9):
        queues.put_failure(POISON)
    letters, readings, moments = dead_letters(queues.stack), count(1), list[int]()

    def read(_: Stack) -> list[DeadLetter]:
        began.set()
        assert may_end.wait(timeout=60)
        return letters[: next(readings)]

    def monotonic() -> int:
        moments.append(len(moments))
        return moments[-1]

    monkeypatch.setattr(reading, "dead_letters", read)
    monkeypatch.setattr(reading, "time", SimpleNamespace(monotonic=monotonic))
    reader = reader_of(queues)
    with ThreadPoolExecutor(6) as pages:
        first = pages.submit(reader.letters)
        assert began.wait(timeout=60)
        others = [pages.submit(reader.letters) for _ in range(5)]
        wait_for("five more that ask", lambda: len(moments) == 2 + 5)
        may_end.set()
        assert len(first.result()) == 1
        assert [len(each.result()) for each in others] == [2] * 5, "by one reading, which began after they had asked"
    assert len(reader.letters()) == 3, "and a later call gets a later one"


# --- logs -------------------------------------------------------------------------------------------------------------


class LogGroup:
    """One function's log group, as CloudWatch Logs shows it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.reads = 0

    def log(self, message: str, at: int) -> None:
        self.events.append({"timestamp": at, "message": message, "logStreamName": "stream"})

    def describe_log_groups(self, **_: Any) -> Any:
        size = sum(len(event["message"]) for event in self.events)
        name = f"/aws/lambda/{STACK}-fulfillment"
        return {"logGroups": [{"logGroupName": name, "storedBytes": size}]}

    def get_paginator(self, _: str) -> Any:
        def paginate(*, startTime: int, **_: Any) -> Iterator[Any]:
            self.reads += 1
            yield {"events": [event for event in self.events if event["timestamp"] >= startTime]}

        return SimpleNamespace(paginate=paginate)


@pytest.fixture
def group() -> LogGroup:
    return LogGroup()


@pytest.fixture
def logs(group: LogGroup) -> Logs:
    session = SimpleNamespace(client=lambda *_, **__: group)
    return Logs(Stack("dev", cast(Any, session), None, Outputs()))


def said(order_id: object, **more: object) -> str:
    return json.dumps({"orderId": order_id, **more})


def test_each_line_of_a_log_is_read_once_even_one_that_is_stored_out_of_order(group: LogGroup, logs: Logs) -> None:
    now = int(moment(at(0)).timestamp() * 1000)
    group.log(said("one", timestamp="2026-01-31T10:30:01.500+01:00"), now + 5_000)
    assert [(line.function, line.order_id, line.at) for line in logs.new()] == [
        ("fulfillment", "one", "2026-01-31T09:30:01.500Z")
    ]

    group.log(said("two"), now + 4_000)
    assert [(line.order_id, line.at) for line in logs.new()] == [("two", at(4))]
    assert logs.new() == []


def test_an_idle_log_is_not_read(group: LogGroup, logs: Logs) -> None:
    group.log(said("one"), 0)
    logs.new()
    logs.new()

    assert group.reads == 1


@pytest.mark.parametrize("line", ["START orderId", "[1]", said(None), said(""), said({"a": 1}), "[" * 100_000])
def test_a_line_that_names_no_order_is_passed_over(group: LogGroup, logs: Logs, line: str) -> None:
    group.log(line, 0)

    assert logs.new() == []

"""What the terminal of `npm start` shows of everybody's orders while they happen."""

import re
from collections.abc import Callable
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

import pytest

from local.terminal import stream as streaming
from local.terminal.output import Terminal
from local.terminal.stream import Stream
from local.terminal.timeline import OrderView
from local.watching.sightings import Sightings
from local.watching.watch import Watch
from operations.dead_letters import DeadLetter
from operations.screen import console
from tests.local.test_timeline import earlier, recorded
from tests.local.test_watching import error, letter
from tests.unit.dead_letter_queues import NOTIFICATIONS, STACK

BEFORE_ALL = "2020-01-01T00:00:00.000Z"


class Stack:
    """A stand-in for what is watched: orders and sightings that a test sets, and which orders have changed."""

    def __init__(self) -> None:
        self.sightings = Sightings(NOTIFICATIONS, f"{STACK}-")
        self.views: dict[str, OrderView] = {}
        self.changes: list[str] = []
        self.read: list[str] = []

    def look(self) -> None:
        """Nothing is new but what a test says."""

    def changed_since(self, number: int) -> tuple[int, list[str]]:
        return len(self.changes), list(dict.fromkeys(self.changes[number:]))

    def view(self, order_id: str) -> OrderView | None:
        self.read.append(order_id)
        return self.views.get(order_id)

    def order(self, view: OrderView) -> str:
        """An order has changed, and is now so."""
        order_id = str(view.order["orderId"])
        self.views[order_id] = view
        self.changes.append(order_id)
        return order_id


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The stream's clock, which a test sets; the orders that were recorded are newer than the stream's beginning."""
    clock = SimpleNamespace(seconds=1_000.0)
    clock.monotonic = lambda: clock.seconds
    monkeypatch.setattr(streaming, "time", clock)
    monkeypatch.setattr(streaming, "timestamp", lambda _: BEFORE_ALL)
    return clock


Shown = Callable[..., list[str]]


@pytest.fixture
def shown(stack: Stack, clock: SimpleNamespace) -> Shown:
    """The lines that the next look shows."""
    file = StringIO()
    stream = Stream(Terminal(console(file=file, width=80, soft_wrap=True)).say, cast(Watch, stack))

    def shown(gateway: Any = "up") -> list[str]:
        start = file.tell()
        stream.show(gateway)
        return [line.rstrip() for line in file.getvalue()[start:].splitlines()]

    return shown


def numbered(view: OrderView, number: int) -> OrderView:
    """The same order under another number."""
    return OrderView({**view.order, "orderId": f"{number:08x}-0000-4000-8000-000000000000"}, view.trail)


APPROVED = """\
C435834C  1 × Hand grinder, 2 × Coffee beans, 1 kg for 116.80 EUR
C435834C       0 ms  OrderService       → status PLACED
C435834C       0 ms  OrderService       → OrderPlacedEvent
C435834C      12 ms  PaymentProcessing  → PaymentCompletedEvent
C435834C      25 ms  OrderStatusUpdater → status PAID
C435834C      27 ms  Fulfillment        → FulfillmentCompletedEvent
C435834C      52 ms  OrderStatusUpdater → status FULFILLED
C435834C      68 ms  Notification       → e-mail sent
""".splitlines()


def test_an_order_is_shown_line_by_line_as_it_happens_and_each_line_once(stack: Stack, shown: Shown) -> None:
    ended = recorded("approved")
    stack.order(earlier(ended, statuses=1, events=1, without=("notification", "fulfillment", "payment")))
    assert shown() == APPROVED[:3]

    stack.order(ended)
    assert shown() == APPROVED[3:]

    stack.order(ended)
    assert shown() == []


def test_orders_side_by_side_are_told_apart_by_their_number(stack: Stack, shown: Shown) -> None:
    for number in (1, 2):
        stack.order(numbered(recorded("approved"), number))

    lines = shown()

    assert {line[:8] for line in lines} == {"00000001", "00000002"}
    assert len(lines) == 2 * len(APPROVED)


def test_what_a_row_tells_that_comes_after_the_last_line_of_the_log_is_shown_too(
    stack: Stack, shown: Shown, clock: SimpleNamespace
) -> None:
    """The audit log is written by a function of its own, which may be the last."""
    ended = recorded("approved")
    order_id = stack.order(earlier(ended, statuses=3, events=1))
    shown()
    stack.views[order_id] = ended

    clock.seconds += 1
    assert APPROVED[3] in shown()


def test_an_order_that_rests_is_not_read_again(stack: Stack, shown: Shown, clock: SimpleNamespace) -> None:
    stack.order(recorded("approved"))
    stack.order(numbered(earlier(recorded("approved"), statuses=1, events=1), 1))
    shown()
    stack.read.clear()

    clock.seconds += 1
    shown()
    assert stack.read == ["00000001-0000-4000-8000-000000000000"], "the other one is over"

    stack.read.clear()
    clock.seconds += 60
    shown()
    assert stack.read == []


def test_an_outage_is_shown_when_it_begins_and_when_it_ends(shown: Shown) -> None:
    assert [shown(gateway) for gateway in ("down", "down", "up")] == [
        ["✗ the payment gateway is down"],
        [],
        ["✓ the payment gateway is up again"],
    ]


def of_order(order_id: str) -> DeadLetter:
    original = letter()
    return original._replace(
        event={**original.event, "detail": {**original.event["detail"], "data": {"orderId": order_id}}}
    )


def test_failed_attempts_the_dead_letter_and_its_redrive_are_shown(stack: Stack, shown: Shown) -> None:
    order_id = stack.order(earlier(recorded("approved"), statuses=1, events=1))
    shown()
    for second in (1, 2):
        stack.sightings.failed(error("a", second)._replace(order_id=order_id))
    stack.changes.append(order_id)
    assert shown() == [
        "C435834C  ✗ PaymentProcessing: attempt 1 of 3 failed: GatewayUnavailable",
        "C435834C  ✗ PaymentProcessing: attempt 2 of 3 failed: GatewayUnavailable",
    ]

    stack.changes += stack.sightings.read([of_order(order_id)], "2026-11-26T00:00:05.000Z", is_complete=True)
    assert shown() == ["C435834C  ■ OrderPlacedEvent is a dead letter of PaymentProcessing"]

    stack.sightings.redriven(of_order(order_id), "2026-11-26T00:00:09.000Z")
    stack.changes.append(order_id)
    assert shown() == ["C435834C  ↻ OrderPlacedEvent is redriven to PaymentProcessing"]


@pytest.mark.parametrize(
    ("attempt", "line"),
    [
        (2, "C435834C  ↻ Reconciler publishes OrderPlacedEvent again"),
        (1, "C435834C  ↻ OrderPlacedEvent arrived again"),
    ],
)
def test_an_event_that_comes_again_says_who_published_it(stack: Stack, shown: Shown, attempt: int, line: str) -> None:
    ended = recorded("approved")
    stack.order(ended)
    shown()
    again = {**ended.trail[0], "eventId": "again", "attempt": attempt, "loggedAt": "2026-11-26T00:00:00.000Z"}

    stack.order(OrderView(ended.order, [*ended.trail, again]))

    assert shown() == [line]


def test_what_happened_before_the_stream_is_not_shown(
    stack: Stack, shown: Shown, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = stack.order(recorded("approved"))
    stack.sightings.read([of_order(order_id)], "2026-01-01T00:00:00.000Z", is_complete=True)
    monkeypatch.setattr(streaming, "timestamp", lambda _: "2030-01-01T00:00:00.000Z")
    said: list[str] = []
    later = Stream(lambda words, **_: said.append(words), cast(Watch, stack))

    stack.changes.append(order_id)
    later.show("up")

    assert stack.read == [order_id]
    assert said == []


def test_a_busy_stack_is_summed_up_instead_of_flooding_the_terminal(
    stack: Stack, shown: Shown, clock: SimpleNamespace
) -> None:
    view = recorded("approved")
    for number in range(200):
        stack.order(numbered(view, number))
    lines = shown()
    assert lines[-1] == "… and 192 more orders"
    assert len(lines) == 8 * len(APPROVED) + 1

    for second in range(4):
        clock.seconds += 1
        for number in range(1_000 * second, 1_000 * second + 300):
            stack.order(numbered(view, 10_000 + number))
        assert shown() == []
    clock.seconds += 1
    assert shown() == ["… and 1,200 more orders"], "each was counted once"

    clock.seconds += 5
    stack.order(numbered(view, 1))
    stack.order(numbered(view, 99_999))
    assert len(shown()) == len(APPROVED), "a new one is shown again"


def test_what_an_event_says_is_shown_literally(stack: Stack, shown: Shown) -> None:
    hostile = "[/b]\x1b[2J"
    view = recorded("approved")
    first = {**view.trail[0], "eventType": hostile, "source": hostile, "domainEventId": hostile}
    stack.order(OrderView(view.order, [*view.trail, first]))

    text = "\n".join(shown())

    assert re.search(r"\[/b\]\\x1b\[2J", text)
    assert "\x1b" not in text

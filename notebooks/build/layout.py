"""Where each part of the system is in its picture, by what serverless.yml and resources/ say.

The bus is in the middle. At its left are the functions that publish, with the orders' table; at its right those that
only consume. A new consumer gets a row of its own.
"""

from collections.abc import Iterable, Iterator, Sequence

from notebooks.build.shapes import LINE, Arrow, Box, Shape
from tools import flow, topology

WORKFLOW = {
    ("customer", "api"): 1,
    ("orderService", "orders"): 2,
    ("orderService", "bus"): 3,
    ("bus", "paymentProcessing"): 4,
    ("paymentProcessing", "bus"): 5,
    ("bus", "fulfillment"): 6,
    ("bus", "topic"): 6,
    ("notification", "email"): 7,
}
"""The ends of an arrow → the step of the main workflow that it is. docs/blog.md has the steps."""

_SINKS = {
    "auditLogger": ("auditLog", "db", "AuditLog", "DynamoDB"),
    "orderFeed": ("pages", "ext", "Open pages", "WebSockets"),
}
"""A function that writes to no order → the part that it writes to, its kind and its texts."""

_TOP, _GAP, _ROW = 20, 16, 46  # pixels: the margin, between two rows, the least height of a box
_ORDERS, _PUBLISHERS, _BUS, _CONSUMERS, _EDGE = 20, 128, 444, 622, 860  # pixels: where the columns begin, and the end
_ORDERS_WIDTH, _PUBLISHER_WIDTH, _BUS_WIDTH = 84, 170, 32
_SINK = 104  # pixels: how wide a box at the right edge is


def system() -> list[Shape]:
    """Every box and arrow of the system."""
    publishers = [name for name in topology.functions() if flow.publishes(name)]
    publishers.sort(key=lambda name: ("api", "bus", "schedule").index(topology.trigger(name)))
    consumers = [name for name in topology.functions() if not flow.publishes(name) and consumed(name)]
    consumers.sort(key=lambda name: ("topic" in _chain(name), name in flow.recorders()))
    left, right = list(_publishers(publishers)), list(_consumers(consumers))
    bottom = max(shape.bottom for shape in [*left, *right] if isinstance(shape, Box))
    [first] = [shape for shape in left if isinstance(shape, Box) and shape.part == publishers[0]]
    written = ("DynamoDB", "", "Each step", "stores its", "result here,", "and only", "then", "publishes.")
    orders = Box("orders", "db", _ORDERS, first.y, _ORDERS_WIDTH, bottom - first.y, "Orders", written)
    bus = Box("bus", "bus", _BUS, _TOP, _BUS_WIDTH, bottom - _TOP, "EventBridge event bus")
    return [orders, bus, *left, *right, *_beside(bus)]


def consumed(function: str) -> list[str]:
    """The event types that a function consumes."""
    return [event for event, names in flow.consumers().items() if function in names]


def _publishers(names: Sequence[str]) -> Iterator[Shape]:
    """The customer's path to the API, and each function that publishes: what it consumes is above what it publishes."""
    customer = Box("customer", "ext", _ORDERS, _TOP, _ORDERS_WIDTH, _ROW, "Customer")
    api = Box("api", "aws", _PUBLISHERS, _TOP, _PUBLISHER_WIDTH, _ROW, "API Gateway", ["checks Cognito's token"])
    yield from (customer, api, _along(customer, api))
    y, above = api.bottom + 28, api
    for name in names:
        incoming, published = _short(consumed(name)), _short(flow.publishes(name))
        height = max(_ROW, sum(_room(labels) for labels in (incoming, published)))
        box = Box(name, "fn", _PUBLISHERS, y, _PUBLISHER_WIDTH, height, topology.title(name), [_described(name)])
        yield box
        if above is api:
            yield Arrow("api", name, api.center, api.bottom, box.center, box.y - 2)
        if incoming:
            line = y + _room(incoming) - 6
            yield _numbered(Arrow("bus", name, _BUS, line, box.right + 2, line, incoming))
        line = y + height - 6
        yield _numbered(Arrow(name, "bus", box.right, line, _BUS - 2, line, _alternatives(published)))
        if flow.writes_orders(name):
            yield _numbered(Arrow(name, "orders", box.x, box.middle, _ORDERS + _ORDERS_WIDTH + 2, box.middle))
        y, above = box.bottom + _GAP, box


def _consumers(names: Sequence[str]) -> Iterator[Shape]:
    """Each function that only consumes, with what is between it and the bus, and what it writes to."""
    y = float(_TOP)
    for name in names:
        events = ["every event"] if name in flow.recorders() else _short(consumed(name))
        row = list(_row(name, y, max(_ROW, _room(events))))
        [first, *_] = row
        assert isinstance(first, Box)
        line = y + min(first.height - 6, _room(events) - 6) if len(events) > 1 else first.middle
        yield _numbered(Arrow("bus", first.part, _BUS + _BUS_WIDTH, line, first.x - 2, line, events))
        yield from row
        y = max(shape.bottom for shape in row if isinstance(shape, Box)) + _GAP


def _row(name: str, y: float, height: float) -> Iterator[Shape]:
    """A consumer's boxes, beginning with the one that the bus delivers to."""
    title, said = topology.title(name), [_described(name)]
    if "topic" in _chain(name):
        width = _EDGE - _CONSUMERS - _SINK - 28
        topic = Box("topic", "aws", _CONSUMERS, y, _SINK, height, "SNS topic")
        queue = Box("queue", "aws", _EDGE - width, y, width, height, "SQS queue")
        function = Box(name, "fn", queue.x, queue.bottom + 24, width, _ROW, title, said)
        email = Box("email", "aws", _CONSUMERS, function.y, _SINK, _ROW, "SES e-mail", ["or SMS by SNS"])
        yield from (topic, queue, function, email)
        yield from (_along(topic, queue), _along(function, email))
        yield Arrow("queue", name, queue.center, queue.bottom, function.center, function.y - 2)
    elif sink := _SINKS.get(name):
        part, kind, *texts = sink
        box = Box(name, "fn", _CONSUMERS, y, _EDGE - _CONSUMERS - _SINK - 28, height, title, said)
        written = Box(part, kind, _EDGE - _SINK, y, _SINK, height, texts[0], texts[1:])
        yield from (box, written, _along(box, written))
    else:
        yield Box(name, "fn", _CONSUMERS, y, _EDGE - _CONSUMERS, height, title, said)


def _beside(bus: Box) -> Iterator[Shape]:
    """What belongs to no single function."""
    y = bus.bottom + 26
    archive = Box("archive", "aws", bus.center - 70, y, 140, _ROW, "Archive", ["replays old events"])
    yield from (archive, Arrow("bus", "archive", bus.center, bus.bottom, archive.center, y - 2))
    logs = _PUBLISHERS + _PUBLISHER_WIDTH - _ORDERS
    yield Box("cloudwatch", "aws", _ORDERS, y, logs, _ROW, "CloudWatch", ["logs, metrics and alarms of each function"])
    said = "keep what failed after all retries"
    yield Box("deadLetterQueues", "dlq", _CONSUMERS, y, _EDGE - _CONSUMERS, _ROW, "Dead-letter queues", [said])


def _short(events: Iterable[str]) -> list[str]:
    return [event.removesuffix("Event") for event in events]


def _chain(name: str) -> Sequence[str]:
    """The parts between the bus and a function."""
    return ("topic", "queue") if topology.trigger(name) == "queue" else ()


def _described(name: str) -> str:
    if flow.asks_the_provider(name):
        return "⇄ payment provider"
    if topology.trigger(name) == "schedule":
        return "Lambda, every minute"
    return "updates Orders" if flow.writes_orders(name) and not flow.publishes(name) else "Lambda"


def _alternatives(events: Sequence[str]) -> list[str]:
    return [event if number == 0 else f"or {event}" for number, event in enumerate(events)]


def _room(labels: Sequence[str]) -> float:
    """The pixels that an arrow needs with its labels."""
    return LINE * len(labels) + 18 if labels else 0


def _along(start: Box, end: Box) -> Arrow:
    """A level arrow between two boxes beside each other."""
    y = start.middle
    x1, x2 = (start.right, end.x - 2) if start.x < end.x else (start.x, end.right + 2)
    return _numbered(Arrow(start.part, end.part, x1, y, x2, y))


def _numbered(arrow: Arrow) -> Arrow:
    return arrow._replace(step=WORKFLOW.get((arrow.start, arrow.end)))

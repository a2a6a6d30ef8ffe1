"""Draw docs/architecture.svg from the topology, and docs/sequence.svg from the recorded order of an approved card.

python -m notebooks.build.architecture
"""

import json
import sys
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from notebooks.pictures import sequence
from tools import flow, topology
from tools.checkout import ROOT

EVIDENCE = ROOT / "tests" / "local" / "recorded" / "approved.json"
_DESCRIPTION = (
    "A customer's request reaches OrderService through API Gateway. OrderService writes the order to DynamoDB and puts"
    " OrderPlacedEvent on the event bus. {consumers} The reconciler publishes again for an order that has been open for"
    " too long; dead-letter queues keep what failed."
)
_STYLE = """
rect{stroke-width:1.5} text{text-anchor:middle;fill:#1f2328} .t{font-size:14px;font-weight:600} .s{font-size:11px}
.l{font-size:11.5px;fill:#57606a} .fn rect{fill:#fff1e5;stroke:#d4762c} .db rect{fill:#e7edff;stroke:#4a6fd4}
.aws rect{fill:#f3eaff;stroke:#8a55c7} .ext rect{fill:#f6f8fa;stroke:#6e7781} .q rect{fill:#ffebe9;stroke:#c93c37}
.bus rect{fill:#ffe3f1;stroke:#c2378b} .note rect{fill:none;stroke:#6e7781;stroke-dasharray:4 4}
.note .t{font-weight:400;font-size:13px} .a{fill:none;stroke:#57606a;stroke-width:1.6} .pub{stroke:#c2378b}
.dash{stroke-dasharray:4 4} marker path{fill:#57606a} .bg{fill:#ffffff;stroke:none}
text[text-anchor=start]{text-anchor:start} text[text-anchor=end]{text-anchor:end}
"""
_BUS_Y, _BUS_HEIGHT = 160, 40
_LEFT, _GAP, _LINE = 20, 25, 15  # pixels: the margin, between two columns, between two lines of a label
_CONSUMER, _QUEUED = 180, 220  # pixels: how wide a column is


class _Column(NamedTuple):
    """A consumer below the bus, with the events that it consumes and publishes."""

    function: str
    x: float
    width: float
    consumes: Sequence[str]
    publishes: Sequence[str]
    is_queued: bool

    @property
    def center(self) -> float:
        return self.x + self.width / 2


def architecture() -> str:
    """The SVG of the system: each consumer in a column below the bus, those behind a topic and a queue at the right."""
    columns = _columns()
    right = columns[-1].x + columns[-1].width
    lines = max(len(column.consumes) + len(column.publishes) for column in columns)
    top = _BUS_Y + _BUS_HEIGHT + 45 + _LINE * max(3, lines)  # of the consumers' boxes
    height = top + 270
    consumers = " ".join(
        f"{topology.title(column.function)} consumes {' and '.join(column.consumes)}"
        + (f" and publishes {' or '.join(column.publishes)}." if column.publishes else ".")
        for column in columns
    )
    shapes = [
        *_entrance(right),
        *_box("bus", _LEFT, _BUS_Y, right - _LEFT, _BUS_HEIGHT, "EventBridge event bus"),
        *(shape for column in columns for shape in _consumer(column, top)),
        *_below([column for column in columns if not column.is_queued and column.function != "auditLogger"], top),
    ]
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 20:.0f} {height:.0f}" role="img"'
        ' aria-labelledby="title desc" font-family="system-ui, sans-serif">\n'
        '<title id="title">How an order is processed</title>\n'
        f'<desc id="desc">{escape(_DESCRIPTION.format(consumers=consumers))}</desc>\n<style>{_STYLE}</style>\n'
        '<defs><marker id="h" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>\n'
        f'<rect class="bg" width="{right + 20:.0f}" height="{height:.0f}" rx="12"/>\n{body}\n</svg>\n'
    )


def documents() -> dict[str, str]:
    """File name in docs/ → its content."""
    recorded = json.loads(EVIDENCE.read_text())
    return {
        "architecture.svg": architecture(),
        "sequence.svg": sequence(recorded["events"], recorded["order"]).svg + "\n",
    }


def _columns() -> list[_Column]:
    """The consumers in the order of serverless.yml, but AuditLogger after the others, and those behind a queue last."""
    consumes = {
        name: [event for event, names in flow.consumers().items() if name in names] for name in topology.functions()
    }
    taking = [name for name in topology.functions() if consumes[name]]
    taking.sort(key=lambda name: (topology.trigger(name) == "queue", name == "auditLogger"))
    columns, x = [], float(_LEFT)
    for name in taking:
        is_queued = topology.trigger(name) == "queue"
        width = max(_QUEUED if is_queued else _CONSUMER, 9 * len(name) + 20)
        events = ["every event"] if len(consumes[name]) == len(flow.consumers()) else consumes[name]
        columns.append(_Column(name, x, width, _short(events), _short(flow.publishes(name)), is_queued))
        x += width + _GAP
    return columns


def _short(events: Sequence[str]) -> list[str]:
    return [event.removesuffix("Event") for event in events]


def _entrance(right: float) -> Iterator[str]:
    """The request's path: customer, API, the function behind it, the table."""
    [entrance] = [name for name in topology.functions() if topology.trigger(name) == "api"]
    yield from _box("ext", 20, 30, 110, 46, "Customer")
    yield from _box("aws", 200, 30, 150, 46, "API Gateway", "Cognito JWT")
    yield from _box("fn", 430, 30, 160, 46, topology.title(entrance), "Lambda")
    yield from _box("db", right - 220, 30, 220, 46, "Orders", "DynamoDB")
    yield _arrow(130, 53, 198, 53)
    yield _label(148, 46, "request")
    yield _arrow(350, 53, 428, 53)
    yield _arrow(590, 45, right - 222, 45)
    yield _label(604, 38, "1 write the order")
    yield _arrow(510, 76, 510, _BUS_Y - 2)
    for number, event in enumerate(_short(flow.publishes(entrance))):
        yield _label(518, 122 + _LINE * number, f"{'or ' if number else '2 '}{event}")


def _consumer(column: _Column, top: float) -> Iterator[str]:
    """A consumer between the bus and what it writes to: its events come down at the left and go up at the right."""
    bus = _BUS_Y + _BUS_HEIGHT
    down = column.x + 22 if column.publishes else column.center if not column.is_queued else column.x + 60
    yield _arrow(down, bus, down, top - 2)
    for number, event in enumerate(column.consumes):
        yield _label(down + 8, bus + 28 + _LINE * number, event)
    if column.publishes:
        up = column.x + column.width - 20
        yield _arrow(up, top, up, bus + 2, "pub")
        for number, event in enumerate(reversed(column.publishes)):
            joined = "" if number == len(column.publishes) - 1 else "or "
            yield _label(up - 7, top - 16 - _LINE * number, joined + event, "end")
    x, width = column.x, column.width
    if column.is_queued:
        yield from _box("aws", x, top, width, 50, "SNS topic", "SNS ─▶ SQS")
        yield from _box("fn", x, top + 110, width, 46, topology.title(column.function), "Lambda")
        yield _arrow(column.center, top + 50, column.center, top + 108)
    else:
        small = "Lambda ⇄ payment provider" if flow.asks_the_provider(column.function) else "Lambda"
        yield from _box("fn", x, top, width, 50, topology.title(column.function), small)
    if column.function == "auditLogger":
        yield from _box("db", x, top + 110, width, 46, "AuditLog", "DynamoDB")
        yield _arrow(column.center, top + 50, column.center, top + 108)
    if column.function == "notification":
        yield from _box("aws", x, top + 204, width, 46, "SES e-mail", "SMS through SNS")
        yield _arrow(column.center, top + 156, column.center, top + 202)


def _below(steps: Sequence[_Column], top: float) -> Iterator[str]:
    """What holds for each step, and what stands by: dead letters, archive, the functions on a schedule."""
    y, right = top + 204, steps[-1].x + steps[-1].width
    for column in steps:
        if flow.writes_orders(column.function):
            yield _arrow(column.center, top + 50, column.center, top + 108, "dash")
    said = "Each step first stores its result on the order (a conditional write), then publishes"
    yield from _box("note", _LEFT, top + 110, right - _LEFT, 46, said)
    yield from _box("q", 20, y, 180, 46, "Dead-letter queues", "retries used up")
    yield from _box("aws", 225, y, 180, 46, "Archive", "replay")
    x = 430
    for name in topology.functions():
        if topology.trigger(name) == "schedule":
            yield from _box("fn", x, y, 180, 46, topology.title(name), "Lambda, scheduled")
            yield _label(x + 190, y + 19, f"publishes {' or '.join(_short(flow.publishes(name)))}")
            yield _label(x + 190, y + 36, "again, for an order open too long")
            x += 430


def _box(kind: str, x: float, y: float, width: float, height: float, title: str, small: str = "") -> Iterator[str]:
    middle = x + width / 2
    yield (
        f'<g class="{kind}"><rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="8"/>'
        f'<text x="{middle:.0f}" y="{y + height / 2 + (-3 if small else 5):.0f}" class="t">{escape(title)}</text>'
        + (f'<text x="{middle:.0f}" y="{y + height / 2 + 14:.0f}" class="s">{escape(small)}</text>' if small else "")
        + "</g>"
    )


def _arrow(x1: float, y1: float, x2: float, y2: float, style: str = "") -> str:
    return f'<path d="M{x1:.0f} {y1:.0f} L{x2:.0f} {y2:.0f}" class="{f"a {style}".strip()}" marker-end="url(#h)"/>'


def _label(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="l" text-anchor="{anchor}">{escape(text)}</text>'


def main() -> int:
    for name, content in documents().items():
        (ROOT / "docs" / name).write_text(content)
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Pictures drawn from evidence: rows of AuditLog, deployed rules, measured times. Each is an SVG with its text.

A row of AuditLog is a dict with `eventType`, `source`, `timestamp`, `domainEventId`, `causationId` and `attempt`. What
is not in the rows is not in the picture.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, NamedTuple

from tools import flow
from tools import topology as system

Row = Mapping[str, Any]

_BUS = "event bus"
_PALETTE = ("#0a66c2", "#1a7f37", "#cf222e", "#8250df", "#9a6700", "#bf3989", "#1b7c83", "#57606a")


def _places() -> Iterator[str]:
    """The participants of a sequence from left to right: who publishes first stands before the bus."""
    by_place = {"schedule": 0, "api": 1}
    names = sorted(system.functions(), key=lambda name: by_place.get(system.trigger(name), 2))
    before = [system.title(name) for name in names if system.trigger(name) in by_place]
    return iter([*before, _BUS, *(system.title(name) for name in names if system.title(name) not in before)])


def _publisher(row: Row) -> str:
    """Who published the event of a row: of the publishers of its source, the scheduled one publishes again."""
    again = not row.get("causationId") and (row.get("attempt") or 1) > 1
    names = flow.publishers().get(row["source"], [])
    return next(
        (system.title(name) for name in names if (system.trigger(name) == "schedule") == again), str(row["source"])
    )


_COLOURS = dict(zip(flow.consumers(), _PALETTE, strict=False))
_CHARACTER = 7.2  # pixels, of 12 px text, on the wide side
_STYLE = """
  .tour text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #1f2328 }
  .tour .small { font-size: 11px; fill: #57606a }
  .tour .bold { font-weight: 600 }
  .tour .box { fill: #f6f8fa; stroke: #8c959f }
  .tour .life { stroke: #d0d7de; stroke-dasharray: 3 4 }
  .tour .line { fill: none; stroke: #57606a; stroke-width: 1.5 }
  .tour .dashed { stroke-dasharray: 5 4 }
  .tour .halo { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
  .tour .quiet { opacity: .35 }
"""


class Picture:
    """An SVG that a notebook shows, and what it says in words."""

    def __init__(self, width: float, height: float, shapes: Iterable[str], text: str) -> None:
        body = "\n".join(shapes)
        self.text = text
        self.svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" class="tour"><title>{escape(text)}</title>'
            f"<style>{_STYLE}</style>"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            ' orient="auto">'
            '<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>'
            f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#ffffff"/>'
            f"{body}</svg>"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.text}


def sequence(rows: Sequence[Row], order: Mapping[str, Any] | None = None) -> Picture:
    """A sequence diagram of one order: who published which event, and what it led to.

    A solid arrow is a row of AuditLog; the dashed one above it is the row's `causationId`. With the order, as the API
    or the table has it, its status history and its notification are drawn as well, as dashed arrows.
    """
    rows = sorted(rows, key=lambda row: row["timestamp"])
    start = rows[0]["timestamp"] if rows else ""
    steps = sorted([*_publications(rows), *_consequences(rows, order)], key=lambda step: step.at)
    taking_part = {step.who for step in steps}
    names = [name for name in _places() if name == _BUS or name in taking_part]
    names += sorted(taking_part - set(names))
    column = {name: 160 + 195 * number for number, name in enumerate(names)}
    width, height = 195 * len(names) + 90, 76 + 46 * len(steps)
    shapes = []
    for name, x in column.items():
        shapes.append(f'<line class="life" x1="{x}" y1="46" x2="{x}" y2="{height - 12}"/>')
        shapes.append(_box(x - 76, 16, 152, 30, name))
    bus = column[_BUS]
    for number, step in enumerate(steps):
        y, x = 92 + 46 * number, column[step.who]
        shapes.append(f'<text class="small" x="14" y="{y}">+{_milliseconds(start, step.at)} ms</text>')
        if step.led_by:
            cause_y = y - 17 if step.publishes else y - 4
            shapes.append(_arrow(bus, cause_y, x, cause_y, dashed=True))
        if step.publishes:
            shapes.append(_arrow(x, y + 4, bus, y + 4, _COLOURS.get(step.label)))
            at = bus + 10 if x > bus else x + 10
        else:
            at = x + 10
        colour = _COLOURS.get(step.label, "#1f2328")
        shapes.append(
            f'<text class="bold halo" x="{at}" y="{y - 3 if step.publishes else y}" style="fill:{colour}">'
            f"{escape(step.label)}</text>"
        )
    said = "; ".join(f"+{_milliseconds(start, step.at)} ms {step.who}: {step.label}" for step in steps)
    return Picture(width, height, shapes, f"Sequence of one order. {said or 'No event was logged'}.")


class _Step(NamedTuple):
    at: str
    who: str
    label: str
    publishes: bool
    led_by: bool
    """Whether its cause is among the rows."""


def _publications(rows: Sequence[Row]) -> Iterable[_Step]:
    seen = {row.get("domainEventId") for row in rows}
    for row in rows:
        yield _Step(
            row["timestamp"], _publisher(row), row["eventType"], publishes=True, led_by=row.get("causationId") in seen
        )


def _consequences(rows: Sequence[Row], order: Mapping[str, Any] | None) -> Iterable[_Step]:
    if order is None:
        return
    seen = {row.get("domainEventId") for row in rows}
    for change in order.get("statusHistory", [])[1:]:
        if change["eventId"] in seen:
            yield _Step(change["at"], "OrderStatusUpdater", change["status"], publishes=False, led_by=True)
    if (notified := order.get("notification")) and rows:
        yield _Step(notified["at"], "Notification", notified["channel"], publishes=False, led_by=True)


def tree(rows: Sequence[Row]) -> Picture:
    """A tree of events: each hangs below the one that its `causationId` names.

    A cause that is in no row is drawn dashed, as missing.
    """
    facts = {row["domainEventId"]: row for row in sorted(rows, key=lambda row: row["timestamp"], reverse=True)}
    facts = dict(reversed(facts.items()))  # one node for each event, however often it was published
    missing = {row["causationId"] for row in facts.values() if row.get("causationId")} - set(facts)
    roots = [*missing, *(key for key, row in facts.items() if not row.get("causationId"))]
    start = min((row["timestamp"] for row in rows), default="")
    nodes: list[tuple[str, int, int | None]] = []  # id, depth, the parent's line

    def grow(key: str, depth: int, parent: int | None) -> None:
        line = len(nodes)
        nodes.append((key, depth, parent))
        for child, row in facts.items():
            if row.get("causationId") == key:
                grow(child, depth + 1, line)

    for root in roots:
        grow(root, 0, None)
    shapes, said = [], []
    for line, (key, depth, parent) in enumerate(nodes):
        x, y = 20 + 60 * depth, 20 + 52 * line
        if parent is not None:
            px, py = 20 + 60 * nodes[parent][1] + 24, 20 + 52 * parent + 38
            shapes.append(f'<path class="line" d="M{px} {py}V{y + 19}H{x - 2}" marker-end="url(#head)"/>')
        if key in facts:
            row = facts[key]
            times = sum(1 for each in rows if each["domainEventId"] == key)
            after = f"+{_milliseconds(start, row['timestamp'])} ms" + (
                f", published {times} times" if times > 1 else ""
            )
            shapes.append(_node(x, y, row["eventType"], f"{key[:8]}  {after}", _COLOURS.get(row["eventType"])))
            said.append(f"{row['eventType']} {after}, level {depth}")
        else:
            shapes.append(_node(x, y, "missing", f"{key[:8]}  a cause that is not in the log", None))
            said.append(f"missing event {key[:8]}, level {depth}")
    width = max((20 + 60 * depth for _, depth, _ in nodes), default=0) + 300
    return Picture(
        width, 20 + 52 * len(nodes) + 6, shapes, f"Tree of events. {'; '.join(said) or 'No event was logged'}."
    )


def timeline(lanes: Mapping[str, Sequence[str]], title: str = "Timeline") -> Picture:
    """Moments on lanes: `{"PaymentProcessing tried": ["2026-01-31T09:30:00.000Z", …], …}`, all on one axis."""
    moments = [datetime.fromisoformat(at) for times in lanes.values() for at in times]
    first, last = min(moments), max(moments)
    left = 30 + max(len(lane) for lane in lanes) * _CHARACTER
    span, right = max((last - first).total_seconds(), 0.001), left + 560
    shapes, said = [], []
    for number, (lane, times) in enumerate(lanes.items()):
        y = 34 + 40 * number
        shapes.append(f'<text x="14" y="{y + 4}">{escape(lane)}</text>')
        shapes.append(f'<line class="life" x1="{left:.0f}" y1="{y}" x2="{right:.0f}" y2="{y}"/>')
        offsets = [(datetime.fromisoformat(at) - first).total_seconds() for at in sorted(times)]
        free = left - 99
        for offset in offsets:
            x = left + 560 * offset / span
            colour = _COLOURS.get(lane, "#0a66c2")
            shapes.append(f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{colour}"/>')
            if x - free > 44:  # a label that would touch the previous one is left out; the text has them all
                shapes.append(
                    f'<text class="small" x="{x:.1f}" y="{y - 10}" text-anchor="middle">{offset:.2f} s</text>'
                )
                free = x
        said.append(f"{lane}: {', '.join(f'{offset:.2f} s' for offset in offsets) or 'never'}")
    return Picture(right + 40, 34 + 40 * len(lanes), shapes, f"{title}. {'; '.join(said)}.")


def topology(edges: Sequence[tuple[str, str]], fired: Iterable[str] = ()) -> Picture:
    """A graph: each edge goes from a node to one further right. Edges that have not fired are drawn pale."""
    strong = set(fired)
    nodes = list(dict.fromkeys(node for edge in edges for node in edge))
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:  # the longest path to each node; the graph has no cycle
        for source, target in edges:
            depth[target] = max(depth[target], depth[source] + 1)
    columns = [[node for node in nodes if depth[node] == level] for level in range(max(depth.values()) + 1)]
    widths = [max(len(node) for node in column) * _CHARACTER + 30 for column in columns]
    tallest = max(len(column) for column in columns)
    place: dict[str, tuple[float, float, float]] = {}
    x = 20.0
    for column, width in zip(columns, widths, strict=True):
        gap = 54 * tallest / len(column)
        for number, node in enumerate(column):
            place[node] = (x, 20 + gap * number + (gap - 34) / 2, width)
        x += width + 90
    for _ in nodes:  # what a strong node leads to is strong as well, from the second column on
        strong |= {target for source, target in edges if source in strong}
    shapes = []
    for source, target in edges:
        (sx, sy, sw), (tx, ty, _) = place[source], place[target]
        start, end = f"{sx + sw:.0f} {sy + 17:.0f}", f"{tx - 1:.0f} {ty + 17:.0f}"
        bend = f"{sx + sw + 45:.0f} {sy + 17:.0f} {tx - 45:.0f} {ty + 17:.0f}"
        pale = " quiet" if fired and source not in strong else ""
        colour = _COLOURS.get(source, "#57606a")
        shapes.append(
            f'<path class="line{pale}" d="M{start}C{bend} {end}" style="stroke:{colour}" marker-end="url(#head)"/>'
        )
    shapes += [_box(x, y, width, 34, node) for node, (x, y, width) in place.items()]
    said = "; ".join(f"{source} leads to {target}" for source, target in edges)
    return Picture(x - 70, 54 * tallest + 40, shapes, f"Topology. {said}.")


def _box(x: float, y: float, width: float, height: float, name: str) -> str:
    return (
        f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6"/>'
        f'<text class="bold" x="{x + width / 2:.0f}" y="{y + height / 2 + 4:.0f}" text-anchor="middle">'
        f"{escape(name)}</text>"
    )


def _node(x: float, y: float, title: str, small: str, colour: str | None) -> str:
    line = f'style="stroke:{colour}"' if colour else 'stroke-dasharray="5 4"'
    return (
        f'<rect class="box" x="{x}" y="{y}" width="264" height="38" rx="6" {line}/>'
        f'<text class="bold" x="{x + 10}" y="{y + 16}">{escape(title)}</text>'
        f'<text class="small" x="{x + 10}" y="{y + 31}">{escape(small)}</text>'
    )


def _arrow(x1: float, y1: float, x2: float, y2: float, colour: str | None = None, *, dashed: bool = False) -> str:
    return (
        f'<line class="line{" dashed" if dashed else ""}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"'
        f' style="stroke:{colour or "#57606a"}" marker-end="url(#head)"/>'
    )


def _milliseconds(start: str, end: str) -> int:
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000)

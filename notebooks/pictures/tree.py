"""A tree of events: each hangs below its cause, and each effect below its event."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from notebooks.pictures.evidence import Row, by_time, effects, logged_at, milliseconds
from notebooks.pictures.svg import COLOURS, GREY, Picture

_INDENT, _LINE, _WIDTH, _HEIGHT = 56, 50, 340, 38  # pixels


class _Node(NamedTuple):
    depth: int
    parent: int | None
    """The line of the node above it."""
    title: str
    small: str
    colour: str | None
    """None: what should be here is missing."""
    is_effect: bool = False


def tree(rows: Sequence[Row], order: Mapping[str, Any] | None = None) -> Picture:
    """A tree of events: each hangs below the one that its `causationId` names.

    An event is drawn once, with the number of its publications. A cause that is in no row is drawn dashed, as missing.
    With the order, what each event led to hangs below it: the new status, the e-mail.
    """
    facts: dict[str, Row] = {}
    for row in by_time(rows):
        facts.setdefault(row["domainEventId"], row)
    missing = {row["causationId"] for row in facts.values() if row.get("causationId")} - set(facts)
    start = min((logged_at(row) for row in rows), default="")
    led_to = list(effects(rows, order))
    nodes: list[_Node] = []

    def grow(key: str, depth: int, parent: int | None) -> None:
        line = len(nodes)
        if key in facts:
            nodes.append(_event(facts[key], depth, parent, start, sum(row["domainEventId"] == key for row in rows)))
        else:
            nodes.append(_Node(depth, parent, "missing", f"{key[:8]}  a cause that is not in the log", None))
        for effect in led_to:
            if effect.cause["domainEventId"] == key:
                small = f"{effect.who}, +{milliseconds(start, effect.at)} ms"
                nodes.append(_Node(depth + 1, line, effect.what, small, COLOURS.get(effect.cause["eventType"]), True))
        for child, row in facts.items():
            if row.get("causationId") == key:
                grow(child, depth + 1, line)

    for root in [*missing, *(key for key, row in facts.items() if not row.get("causationId"))]:
        grow(root, 0, None)
    shapes = [shape for line, node in enumerate(nodes) for shape in _drawn(line, node, nodes)]
    width = max((20 + _INDENT * node.depth for node in nodes), default=0) + _WIDTH + 20
    said = "; ".join(f"{node.title}, {node.small}, level {node.depth}" for node in nodes)
    return Picture(width, 20 + _LINE * max(len(nodes), 1), shapes, f"Tree of events. {said or 'No event was logged'}.")


def _event(row: Row, depth: int, parent: int | None, start: str, times: int) -> _Node:
    again = f", published {times} times ↻" if times > 1 else ""
    small = f"{row['domainEventId'][:8]}  logged +{milliseconds(start, logged_at(row))} ms{again}"
    return _Node(depth, parent, row["eventType"], small, COLOURS.get(row["eventType"], GREY))


def _drawn(line: int, node: _Node, nodes: Sequence[_Node]) -> list[str]:
    x, y = 20 + _INDENT * node.depth, 14 + _LINE * line
    shapes = []
    if node.parent is not None:
        px, py = 20 + _INDENT * nodes[node.parent].depth + 24, 14 + _LINE * node.parent + _HEIGHT
        shapes.append(f'<path class="line" d="M{px} {py}V{y + 19}H{x - 2}" marker-end="url(#head)"/>')
    look = f'style="stroke:{node.colour}"' if node.colour else 'stroke-dasharray="5 4"'
    rounded = _HEIGHT / 2 if node.is_effect else 6
    return [
        *shapes,
        f'<rect class="box" x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="{rounded:.0f}" {look}/>'
        f'<text class="bold" x="{x + 16}" y="{y + 16}">{escape(node.title)}</text>'
        f'<text class="small" x="{x + 16}" y="{y + 31}">{escape(node.small)}</text>',
    ]

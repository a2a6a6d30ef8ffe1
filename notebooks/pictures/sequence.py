"""A sequence diagram of one order: who published which event, and what each event led to."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from notebooks.pictures.evidence import READER, Row, by_time, effects, logged_at, milliseconds, publisher
from notebooks.pictures.svg import CHARACTER, COLOURS, MAX_WIDTH, Picture, arrow, box
from tools import topology as system

_BUS = "event bus"
_LEFT, _WIDEST, _TOP, _STEP = 118, 150, 78, 44  # pixels: left of the columns, a column, above the steps, a step


class _Step(NamedTuple):
    """One line of the picture: an event that was published, or an effect that one had."""

    at: str
    who: str
    label: str
    colour: str
    is_published: bool
    cause_colour: str | None
    """None where the cause is in no row."""
    order: str
    """When it is drawn: an effect never comes before its cause."""


def sequence(rows: Sequence[Row], order: Mapping[str, Any] | None = None, *, mine: Collection[str] = ()) -> Picture:
    """A sequence diagram of one order, in the order in which the audit log received its events.

    A solid arrow is a row of AuditLog; the dashed one above it is the row's `causationId`, in its cause's colour. A
    fact that was published before is marked ↻. With the order, as the API or the table has it, its status history and
    its notification are drawn as well. Events whose `eventId` is in `mine` are the reader's own. The times on the left
    are to scale.
    """
    rows = by_time(rows)
    steps = sorted([*_publications(rows, mine), *_effects(rows, order)], key=lambda step: step.order)
    columns, width = _columns({step.who for step in steps})
    height = _TOP + _STEP * len(steps) + 26
    start = min((step.at for step in steps), default="")
    body = [
        *(_column(name, x, w, height) for name, (x, w) in columns.items()),
        *_axis(steps, start),
        *(shape for number, step in enumerate(steps) for shape in _line(step, _y(number), columns, width)),
        f'<text class="small" x="14" y="{height - 12}">{_caption(rows)}</text>',
    ]
    said = "; ".join(f"+{milliseconds(start, step.at)} ms {step.who}: {step.label}" for step in steps)
    return Picture(width, height, body, f"Sequence of one order. {said or 'No event was logged'}.")


def _column(name: str, x: float, width: float, height: float) -> str:
    line = f'<line class="life" x1="{x:.0f}" y1="56" x2="{x:.0f}" y2="{height - 34}"/>'
    return line + box(x - width / 2, 14, width, 42, name)


def _caption(rows: Sequence[Row]) -> str:
    if all("loggedAt" in row for row in rows):
        return "Events as the audit log received them; ↻ is a fact that was published before. Dashed: the cause."
    return "Events by the time at which they occurred. Dashed: the cause."


def _publications(rows: Sequence[Row], mine: Collection[str]) -> Iterator[_Step]:
    types = {row.get("domainEventId"): row["eventType"] for row in rows}
    seen: set[str] = set()
    for row in rows:
        fact, kind = row.get("domainEventId"), row["eventType"]
        label = f"{kind} ↻" if fact in seen else kind
        cause = types.get(row.get("causationId")) if row.get("causationId") else None
        yield _Step(
            logged_at(row),
            publisher(row, mine),
            label,
            _colour(kind),
            True,
            _colour(cause) if cause else None,
            logged_at(row),
        )
        if fact:
            seen.add(fact)


def _effects(rows: Sequence[Row], order: Mapping[str, Any] | None) -> Iterator[_Step]:
    for at, who, what, cause in effects(rows, order):
        colour = _colour(cause["eventType"])
        yield _Step(at, who, what, colour, False, colour, max(at, f"{logged_at(cause)}+"))


def _colour(event_type: str) -> str:
    return COLOURS.get(event_type, "#1f2328")


def _columns(taking_part: set[str]) -> tuple[dict[str, tuple[float, float]], float]:
    """Name → the middle and the width of its box; and the width of the picture. Who starts stands before the bus."""
    by_place = {"schedule": 0, "api": 1}
    functions = sorted(system.functions(), key=lambda name: by_place.get(system.trigger(name), 2))
    before = [system.title(name) for name in functions if system.trigger(name) in by_place]
    after = [system.title(name) for name in functions if system.title(name) not in before]
    known = [READER, *before, _BUS, *after]
    names = [name for name in known if name == _BUS or name in taking_part] + sorted(taking_part - set(known))
    step = min(_WIDEST, (MAX_WIDTH - _LEFT - 10) / len(names))
    columns = {name: (_LEFT + step * (number + 0.5), min(step - 8, 122)) for number, name in enumerate(names)}
    return columns, max(_LEFT + step * len(names) + 10, 620)


def _y(number: int) -> int:
    return _TOP + 22 + _STEP * number


def _axis(steps: Sequence[_Step], start: str) -> Iterator[str]:
    """The time of each step: a dot on an axis that is to scale, and a thin line from there to the step."""
    if not steps:
        return
    first, last = _y(0), _y(len(steps) - 1)
    span = max(milliseconds(start, step.at) for step in steps) or 1
    yield f'<line class="thin" x1="18" y1="{first - 4}" x2="18" y2="{last - 4}"/>'
    for number, step in enumerate(steps):
        after, y = milliseconds(start, step.at), _y(number)
        scaled = first - 4 + (last - first) * after / span
        yield f'<line class="thin" x1="18" y1="{scaled:.0f}" x2="40" y2="{y - 4}"/>'
        yield f'<circle cx="18" cy="{scaled:.0f}" r="3" fill="{step.colour}"/>'
        yield f'<text class="small" x="44" y="{y}">+{after} ms</text>'


def _line(step: _Step, y: float, columns: Mapping[str, tuple[float, float]], width: float) -> Iterable[str]:
    x, bus = columns[step.who][0], columns[_BUS][0]
    length, text_y = len(step.label) * CHARACTER + 8, y
    if step.is_published:
        if step.cause_colour:
            yield arrow(bus, y - 17, x, y - 17, step.cause_colour, dashed=True)
        yield arrow(x, y + 4, bus, y + 4, step.colour)
        at, text_y = min(x, bus) + 8, y - 3
        at = min(at, width - length)
    else:
        yield arrow(bus, y - 4, x, y - 4, step.cause_colour, dashed=True)
        at = x + 8
        if at + length > width:
            at, text_y = width - length, y - 10
    yield (
        f'<text class="bold halo" x="{at:.0f}" y="{text_y:.0f}" style="fill:{step.colour}">{escape(step.label)}</text>'
    )

"""What the system's picture is made of: boxes, arrows and labels, each of which can be pale.

Each shape names the parts that it belongs to: a box one, an arrow and its labels both ends.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

FONT = 12.5
"""Pixels of the smallest text: at least 11 where a picture 880 wide is shown 800 wide."""
LINE = 15
"""Pixels between two lines of text."""

_TITLE = 14
_COLOURS = {
    "fn": ("#fff1e5", "#d4762c"),
    "db": ("#e7edff", "#4a6fd4"),
    "aws": ("#f3eaff", "#8a55c7"),
    "ext": ("#f6f8fa", "#6e7781"),
    "dlq": ("#ffebe9", "#c93c37"),
    "bus": ("#ffe3f1", "#c2378b"),
}
"""A box's kind → its fill and its frame."""
_STYLE = f"""
text{{fill:#1f2328;font-size:{FONT}px}} .t{{font-size:{_TITLE}px;font-weight:600}} .m{{text-anchor:middle}}
rect{{stroke-width:1.5}} .lit rect{{stroke-width:3}} .pale{{opacity:.28}} .bg{{fill:#ffffff}}
.a path{{fill:none;stroke:#57606a;stroke-width:1.6}} .publish path{{stroke:#c2378b}} .l,marker path{{fill:#57606a}}
.a circle{{fill:#1f2328}} .a .n{{fill:#ffffff;font-weight:600}}
{" ".join(f".{kind} rect{{fill:{fill};stroke:{frame}}}" for kind, (fill, frame) in _COLOURS.items())}
"""


class Box(NamedTuple):
    """A part of the system, with its name and what it is or does, line by line."""

    part: str
    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str
    lines: Sequence[str] = ()

    @property
    def parts(self) -> frozenset[str]:
        return frozenset([self.part])

    @property
    def center(self) -> float:
        return self.x + self.width / 2

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def _is_narrow(self) -> bool:
        """Whether the title fits only if it is turned."""
        return len(self.title) * _TITLE * 0.6 > self.width

    def svg(self, state: str) -> str:
        first = self.middle + 5 - len(self.lines) * LINE / 2
        texts = "".join(
            f'<text x="{self.center:.0f}" y="{first + LINE * (number + 1):.0f}" class="m">{escape(line)}</text>'
            for number, line in enumerate(self.lines)
        )
        turn = f' transform="rotate(-90 {self.center:.0f} {self.middle:.0f})"' if self._is_narrow else ""
        return (
            f'<g class="{self.kind}{state}" data-part="{self.part}"><rect x="{self.x:.0f}" y="{self.y:.0f}"'
            f' width="{self.width:.0f}" height="{self.height:.0f}" rx="8"/><text x="{self.center:.0f}" y="{first:.0f}"'
            f' class="t m"{turn}>{escape(self.title)}</text>{texts}</g>'
        )


class Arrow(NamedTuple):
    """From one part to another, with the events that go along it above the line."""

    start: str
    end: str
    x1: float
    y1: float
    x2: float
    y2: float
    labels: Sequence[str] = ()
    step: int | None = None
    """The step of the main workflow that it is."""

    @property
    def parts(self) -> frozenset[str]:
        return frozenset([self.start, self.end])

    def svg(self, state: str) -> str:
        kind = "a publish" if self.end == "bus" else "a"
        left, top = min(self.x1, self.x2) + 8, self.y1 - 11 - LINE * (len(self.labels) - 1)
        texts = "".join(
            f'<text x="{left:.0f}" y="{top + LINE * number:.0f}" class="l">{escape(label)}</text>'
            for number, label in enumerate(self.labels)
        )
        return (
            f'<g class="{kind}{state}" data-ends="{self.start} {self.end}"><path d="M{self.x1:.0f} {self.y1:.0f}'
            f' L{self.x2:.0f} {self.y2:.0f}" marker-end="url(#h)"/>{texts}{self._number()}</g>'
        )

    def _number(self) -> str:
        """The step in a disc: on the arrow, near the bus; above an arrow that is too short for it."""
        if self.step is None:
            return ""
        x, y = (self.x1 + self.x2) / 2, self.y1 - 14
        if "bus" in self.parts:
            at, other = (self.x1, self.x2) if self.start == "bus" else (self.x2, self.x1)
            x, y = at + (24 if other > at else -24), self.y1
        number = f'<text x="{x:.0f}" y="{y + 4.5:.1f}" class="n m">{self.step}</text>'
        return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="8"/>{number}'


Shape = Box | Arrow


def picture(shapes: Sequence[Shape], title: str, description: str, lit: Iterable[str] = ()) -> str:
    """The SVG. With `lit`, these parts are highlighted and the others pale.

    An arrow is pale unless both its ends are highlighted, or one is and the other is the bus.
    """
    boxes = [shape for shape in shapes if isinstance(shape, Box)]
    width, height = max(box.right for box in boxes) + 20, max(box.bottom for box in boxes) + 20
    highlighted = frozenset(lit)
    body = "\n".join(shape.svg(_state(shape, highlighted)) for shape in shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
        ' aria-labelledby="title desc" font-family="system-ui, sans-serif">\n'
        f'<title id="title">{escape(title)}</title>\n<desc id="desc">{escape(description)}</desc>\n'
        f"<style>{_STYLE}</style>\n"
        '<defs><marker id="h" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>\n'
        f'<rect class="bg" width="{width:.0f}" height="{height:.0f}" rx="12"/>\n{body}\n</svg>\n'
    )


def _state(shape: Shape, lit: frozenset[str]) -> str:
    if not lit:
        return ""
    if isinstance(shape, Box):
        return " lit" if shape.part in lit else " pale"
    return "" if shape.parts <= lit | {"bus"} else " pale"

"""A picture as SVG with its description in words, and the shapes that several pictures draw."""

import re
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from typing import Any

from tools import flow

MAX_WIDTH = 880
"""Pixels: what JupyterLab, GitHub and the site show without a scroll bar."""
CHARACTER = 6.7  # pixels, of bold 12 px text, on the wide side
GREY = "#57606a"
_PALETTE = ("#0a66c2", "#9a6700", "#1a7f37", "#cf222e", "#8250df", "#1b7c83", "#bf3989", GREY)
COLOURS = dict(zip(flow.consumers(), _PALETTE, strict=False))
"""Event type → its colour, in every picture."""

_STYLE = """
  text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #1f2328 }
  .small { font-size: 11px; fill: #57606a }
  .bold { font-weight: 600 }
  .box { fill: #f6f8fa; stroke: #8c959f }
  .life { stroke: #d0d7de; stroke-dasharray: 3 4 }
  .thin { stroke: #d0d7de }
  .line { fill: none; stroke: #57606a; stroke-width: 1.5 }
  .dashed { stroke-dasharray: 5 4 }
  .halo { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
  .quiet { opacity: .35 }
"""


class Picture:
    """An SVG that a notebook shows as an image with alternative text: `text` says in words what it shows.

    An image needs no trust: JupyterLab shows it in a notebook that was never run, and its styles reach nothing else.
    """

    def __init__(self, width: float, height: float, shapes: Iterable[str], text: str) -> None:
        self.text = text
        shown = min(width, MAX_WIDTH)
        body = "\n".join(shapes)
        self.svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{shown:.0f}" height="{height * shown / width:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img"><title>{escape(text)}</title>'
            f"<style>{_STYLE}</style>"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            f' orient="auto"><path d="M0 0L8 4L0 8z" fill="{GREY}"/></marker></defs>'
            f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#ffffff"/>'
            f"{body}</svg>"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        data = b64encode(self.svg.encode()).decode()
        image = f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(self.text)}" style="max-width:100%">'
        return {"text/html": image, "text/plain": self.text}


def box(x: float, y: float, width: float, height: float, name: str) -> str:
    """A box with its name in the middle, on two lines where one would be too long."""
    lines = [name] if len(name) * CHARACTER < width - 6 else in_two(name)
    top = y + height / 2 + 4 - 7 * (len(lines) - 1)
    return f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6"/>' + "".join(
        f'<text class="bold" x="{x + width / 2:.0f}" y="{top + 14 * number:.0f}" text-anchor="middle">'
        f"{escape(line)}</text>"
        for number, line in enumerate(lines)
    )


def in_two(name: str) -> list[str]:
    """A name such as OrderStatusUpdater or `workshop.reader` on two lines that are about as long."""
    words = re.findall(r"[A-Z]?[^A-Z\s.-]+[\s.-]?|[A-Z]+|.", name)
    cuts = [("".join(words[:cut]).strip(), "".join(words[cut:]).strip()) for cut in range(1, len(words))]
    return list(min(cuts, key=lambda cut: max(map(len, cut)))) if cuts else [name]


def arrow(x1: float, y1: float, x2: float, y2: float, colour: str | None = None, *, dashed: bool = False) -> str:
    return (
        f'<line class="line{" dashed" if dashed else ""}" x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"'
        f' style="stroke:{colour or GREY}" marker-end="url(#head)"/>'
    )

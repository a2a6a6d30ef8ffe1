"""Bars as SVG: one style for light and dark pages, and no library."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_ROW, _LEFT, _WIDTH, _RIGHT = 30, 230, 420, 110
_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#a463f2", "#9498a0", "#3ca951")


class Bar(NamedTuple):
    label: str
    parts: Sequence[float]
    """Side by side, in the order of the legend."""
    note: str = ""
    """At the end of the bar; its sum by default."""


def bars(title: str, rows: Sequence[Bar], *, unit: str, legend: Sequence[str] = (), target: float | None = None) -> str:
    """Horizontal bars; `target` is a dashed line, a limit that was set."""
    longest = max([sum(row.parts) for row in rows] + [target or 0])
    top = 34 + (22 if legend else 0)
    height = top + _ROW * len(rows) + 26
    scale = _WIDTH / longest
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}" role="img"'
        f' aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="12" y="20" font-weight="bold" fill="#222">{escape(title)}</text>',
    ]
    x = 12.0
    for colour, name in zip(_COLOURS, legend, strict=False):
        out.append(f'<rect x="{x:.0f}" y="32" width="11" height="11" fill="{colour}"/>')
        out.append(f'<text x="{x + 16:.0f}" y="42" fill="#444">{escape(name)}</text>')
        x += 34 + 7.2 * len(name)
    for number, row in enumerate(rows):
        y = top + _ROW * number
        out.append(f'<text x="{_LEFT - 10}" y="{y + 20}" text-anchor="end" fill="#222">{escape(row.label)}</text>')
        x = float(_LEFT)
        for colour, part in zip(_COLOURS, row.parts, strict=False):
            out.append(f'<rect x="{x:.1f}" y="{y + 5}" width="{part * scale:.1f}" height="21" fill="{colour}"/>')
            x += part * scale
        note = row.note or f"{sum(row.parts):.4g} {unit}"
        out.append(f'<text x="{x + 6:.1f}" y="{y + 20}" fill="#222">{escape(note)}</text>')
    if target is not None:
        x, end = _LEFT + target * scale, top + _ROW * len(rows)
        out.append(
            f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{end + 4}" stroke="#222" stroke-dasharray="4 3"/>'
            f'<text x="{x:.1f}" y="{end + 18}" text-anchor="middle" fill="#222">'
            f"target: {target:g} {escape(unit)}</text>"
        )
    return "\n".join([*out, "</svg>"]) + "\n"

"""Moments on lanes that share one axis of time, which is to scale."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from notebooks.pictures.svg import CHARACTER, COLOURS, Picture

_AXIS = 560  # pixels


def timeline(lanes: Mapping[str, Sequence[str]], title: str = "Timeline") -> Picture:
    """Moments on lanes: `{"PaymentProcessing tried": ["2026-01-31T09:30:00.000Z", …], …}`, all on one axis."""
    moments = [datetime.fromisoformat(at) for times in lanes.values() for at in times]
    first, last = min(moments), max(moments)
    left = 34 + max(len(lane) for lane in lanes) * CHARACTER
    span, right = max((last - first).total_seconds(), 0.001), left + _AXIS
    shapes, said = [], []
    for number, (lane, times) in enumerate(lanes.items()):
        y = 34 + 40 * number
        shapes.append(f'<text x="14" y="{y + 4}">{escape(lane)}</text>')
        shapes.append(f'<line class="life" x1="{left:.0f}" y1="{y}" x2="{right:.0f}" y2="{y}"/>')
        offsets = [(datetime.fromisoformat(at) - first).total_seconds() for at in sorted(times)]
        free = left - 99
        for offset in offsets:
            x = left + _AXIS * offset / span
            shapes.append(f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{COLOURS.get(lane, "#0a66c2")}"/>')
            if x - free > 44:  # a label that would touch the previous one is left out; the text has them all
                shapes.append(
                    f'<text class="small" x="{x:.1f}" y="{y - 10}" text-anchor="middle">{offset:.2f} s</text>'
                )
                free = x
        said.append(f"{lane}: {', '.join(f'{offset:.2f} s' for offset in offsets) or 'never'}")
    return Picture(right + 40, 34 + 40 * len(lanes), shapes, f"{title}. {'; '.join(said)}.")

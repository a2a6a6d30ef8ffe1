"""A graph of what leads to what, from left to right."""

from collections.abc import Iterable, Sequence

from notebooks.pictures.svg import CHARACTER, COLOURS, GREY, Picture, box

_GAP, _ROW, _BOX = 70, 50, 32  # pixels: between two columns, from row to row, a box's height


def topology(edges: Sequence[tuple[str, str]], fired: Iterable[str] = ()) -> Picture:
    """A graph: each edge goes from a node to one further right. Edges that have not fired are drawn pale."""
    strong, of_a_life = set(fired), list(COLOURS)  # events are drawn in the order in which an order lives
    edges = sorted(edges, key=lambda edge: of_a_life.index(edge[0]) if edge[0] in of_a_life else len(of_a_life))
    nodes = list(dict.fromkeys(node for edge in edges for node in edge))
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:  # the longest path to each node; the graph has no cycle
        for source, target in edges:
            depth[target] = max(depth[target], depth[source] + 1)
    columns = [[node for node in nodes if depth[node] == level] for level in range(max(depth.values()) + 1)]
    widths = [max(len(node) for node in column) * CHARACTER + 28 for column in columns]
    tallest = max(len(column) for column in columns)
    place: dict[str, tuple[float, float, float]] = {}
    x = 16.0
    for column, width in zip(columns, widths, strict=True):
        gap = _ROW * tallest / len(column)
        for number, node in enumerate(column):
            place[node] = (x, 16 + gap * number + (gap - _BOX) / 2, width)
        x += width + _GAP
    for _ in nodes:  # what a strong node leads to is strong as well, from the second column on
        strong |= {target for source, target in edges if source in strong}
    shapes = []
    for source, target in edges:
        (sx, sy, sw), (tx, ty, _) = place[source], place[target]
        start, end = f"{sx + sw:.0f} {sy + _BOX / 2:.0f}", f"{tx - 1:.0f} {ty + _BOX / 2:.0f}"
        bend = f"{sx + sw + _GAP / 2:.0f} {sy + _BOX / 2:.0f} {tx - _GAP / 2:.0f} {ty + _BOX / 2:.0f}"
        pale = " quiet" if fired and source not in strong else ""
        shapes.append(
            f'<path class="line{pale}" d="M{start}C{bend} {end}" style="stroke:{COLOURS.get(source, GREY)}"'
            ' marker-end="url(#head)"/>'
        )
    shapes += [box(x, y, width, _BOX, node) for node, (x, y, width) in place.items()]
    said = "; ".join(f"{source} leads to {target}" for source, target in edges)
    return Picture(x - _GAP + 16, _ROW * tallest + 32, shapes, f"Topology. {said}.")

"""Lays out a directed graph in layers, from left to right: `lay_out`.

It takes the usual three steps (Sugiyama): layers by the longest path, the order within a layer by the mean
position of the neighbours, and heights by the same mean, with gaps. A line that crosses a layer gets a lane
there, so that it runs between the boxes and not through them. The same graph always gets the same layout, as
a page that is drawn every second must not move. Decision 52 explains why this does not use a library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Edge = tuple[str, str]
LANE = 18.0  # height of the lane of a passing line
SWEEPS = 8


@dataclass(frozen=True)
class Size:
    """The size of a box, and the gaps beside and below it, in pixels."""

    width: float
    height: float
    gap_x: float = 56.0
    gap_y: float = 16.0
    margin: float = 4.0


@dataclass(frozen=True)
class Line:
    """A line from box to box, as the `d` of an SVG path."""

    source: str
    target: str
    path: str


@dataclass(frozen=True)
class Layout:
    """A drawing: its size, the top left corner of every box, and the lines."""

    width: float
    height: float
    places: Mapping[str, tuple[float, float]]
    lines: tuple[Line, ...]


class _Point:
    """A box, or the lane of a line that crosses a layer."""

    def __init__(self, layer: int, height: float) -> None:
        self.layer, self.height = layer, height
        self.before: list[_Point] = []
        self.after: list[_Point] = []
        self.rank = 0.0
        self.y = 0.0  # of its middle


def lay_out(nodes: Sequence[str], edges: Iterable[Edge], size: Size) -> Layout:
    """Positions of `nodes` and lines for `edges`. An edge that closes a cycle does not affect the order."""
    known = dict.fromkeys(nodes)
    drawn = list(dict.fromkeys((a, b) for a, b in edges if a in known and b in known and a != b))
    forward = _without_cycles(list(known), drawn)
    layers = _layers(list(known), forward)
    points = {name: _Point(layer, size.height) for name, layer in layers.items()}
    columns: list[list[_Point]] = [[] for _ in range(max(layers.values(), default=0) + 1)]
    for point in points.values():
        columns[point.layer].append(point)
    chains = {edge: _chain(points[edge[0]], points[edge[1]], columns) for edge in forward}
    _order(columns)
    _place(columns, size)
    top = min((p.y - p.height / 2 for column in columns for p in column), default=0.0)
    bottom = max((p.y + p.height / 2 for column in columns for p in column), default=0.0)
    for column in columns:
        for point in column:
            point.y += size.margin - top
    step = size.width + size.gap_x
    return Layout(
        width=max(len(columns) * step - size.gap_x, 0) + 2 * size.margin,
        height=bottom - top + 2 * size.margin,
        places={
            name: (round(size.margin + p.layer * step, 1), round(p.y - p.height / 2, 1))
            for name, p in points.items()
        },
        lines=tuple(
            Line(a, b, _path(chains.get((a, b)) or [points[a], points[b]], size, step)) for a, b in drawn
        ),
    )


def _without_cycles(nodes: list[str], edges: list[Edge]) -> list[Edge]:
    """The edges without those that close a cycle."""
    targets: dict[str, list[str]] = {name: [] for name in nodes}
    for a, b in edges:
        targets[a].append(b)
    back: set[Edge] = set()
    state: dict[str, int] = {}
    for root in nodes:
        if root in state:
            continue
        state[root] = 1
        walk = [(root, iter(targets[root]))]
        while walk:
            name, rest = walk[-1]
            following = next(rest, None)
            if following is None:
                state[name] = 2
                walk.pop()
            elif state.get(following) == 1:
                back.add((name, following))
            elif following not in state:
                state[following] = 1
                walk.append((following, iter(targets[following])))
    return [edge for edge in edges if edge not in back]


def _layers(nodes: list[str], edges: list[Edge]) -> dict[str, int]:
    """The layer of each node by the longest path to it; sources then move right, next to their readers."""
    layers = dict.fromkeys(nodes, 0)
    for _ in nodes:
        moved = False
        for a, b in edges:
            if layers[b] <= layers[a]:
                layers[b] = layers[a] + 1
                moved = True
        if not moved:
            break
    fed = {b for _, b in edges}
    for name in nodes:
        readers = [layers[b] for a, b in edges if a == name]
        if name not in fed and readers:
            layers[name] = min(readers) - 1
    return layers


def _chain(source: _Point, target: _Point, columns: list[list[_Point]]) -> list[_Point]:
    chain = [source]
    for layer in range(source.layer + 1, target.layer):
        lane = _Point(layer, LANE)
        columns[layer].append(lane)
        chain.append(lane)
    chain.append(target)
    for left, right in pairwise(chain):
        left.after.append(right)
        right.before.append(left)
    return chain


def _order(columns: list[list[_Point]]) -> None:
    """Sort each layer into the order with the fewest crossings that a few sweeps find."""
    _rank(columns)
    best, fewest = [list(column) for column in columns], _crossings(columns)
    for sweep in range(SWEEPS):
        rightwards = sweep % 2 == 0
        for column in columns if rightwards else reversed(columns):
            column.sort(key=lambda p: _mean([n.rank for n in (p.before if rightwards else p.after)], p.rank))
            for rank, point in enumerate(column):
                point.rank = rank
        crossings = _crossings(columns)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    columns[:] = best
    _rank(columns)


def _rank(columns: list[list[_Point]]) -> None:
    for column in columns:
        for rank, point in enumerate(column):
            point.rank = rank


def _crossings(columns: list[list[_Point]]) -> int:
    total = 0
    for column in columns:
        ends = [(p.rank, n.rank) for p in column for n in p.after]
        total += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(ends) for c, d in ends[i + 1 :])
    return total


def _place(columns: list[list[_Point]], size: Size) -> None:
    """Move each point as close to the height of its neighbours as its layer allows."""
    for column in columns:
        _spread(column, [0.0] * len(column), size.gap_y)
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = [_mean([n.y for n in p.before + p.after], p.y) for p in column]
            _spread(column, wanted, size.gap_y)


def _spread(column: list[_Point], wanted: list[float], gap: float) -> None:
    """Heights close to `wanted`, in order and a gap apart: halfway between pushing down and pushing up."""
    if not column:
        return
    down, up = list(wanted), list(wanted)
    for i in range(1, len(column)):
        down[i] = max(down[i], down[i - 1] + (column[i - 1].height + column[i].height) / 2 + gap)
    for i in range(len(column) - 2, -1, -1):
        up[i] = min(up[i], up[i + 1] - (column[i].height + column[i + 1].height) / 2 - gap)
    for point, low, high in zip(column, down, up, strict=True):
        point.y = (low + high) / 2


def _path(chain: list[_Point], size: Size, step: float) -> str:
    """From the right side of the first box to the left side of the last, level through every lane."""
    x = size.margin + chain[0].layer * step + size.width
    y = chain[0].y
    parts = [f"M{x:.1f} {y:.1f}"]
    for point in chain[1:]:
        left = size.margin + point.layer * step
        bend = max((left - x) / 2, size.gap_x / 2)
        parts.append(f"C{x + bend:.1f} {y:.1f} {left - bend:.1f} {point.y:.1f} {left:.1f} {point.y:.1f}")
        x, y = left, point.y
        if point is not chain[-1]:
            x += size.width
            parts.append(f"H{x:.1f}")
    return "".join(parts)


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default

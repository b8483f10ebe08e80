"""Draws a graph for a page: boxes with states, and lines between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lakerun.workspace.pages.layout import Edge, Line, Size, lay_out
from lakerun.workspace.pages.states import State

LETTER = 7.6  # width of a letter in a box's name, whose font is monospaced
LETTERS = (20, 30)  # the narrowest and the widest box
PADDING = 28.0  # beside the name
HEIGHT = 68.0


@dataclass(frozen=True)
class Box:
    """One node: `caption` is its last line, `warning` is at the end of that line, `title` has everything."""

    key: str
    name: str
    state: State | None = None
    caption: str = ""
    warning: str = ""
    href: str = ""
    title: str = ""
    is_outside: bool = False


@dataclass(frozen=True)
class Placed:
    box: Box
    x: float
    y: float
    name: str


@dataclass(frozen=True)
class Drawing:
    """Boxes and lines with their positions, in pixels."""

    width: float
    height: float
    box_width: float
    box_height: float
    boxes: tuple[Placed, ...]
    lines: tuple[Line, ...]


def draw(boxes: Sequence[Box], edges: Iterable[Edge]) -> Drawing:
    """The graph of `boxes`, all of which are as wide as the longest name requires, within limits."""
    longest = max((len(box.name) for box in boxes), default=0)
    letters = min(max(longest, LETTERS[0]), LETTERS[1])
    size = Size(letters * LETTER + PADDING, HEIGHT)
    layout = lay_out([box.key for box in boxes], edges, size)
    placed = tuple(Placed(box, *layout.places[box.key], _shortened(box.name, letters)) for box in boxes)
    # In reading order, for keyboard users.
    placed = tuple(sorted(placed, key=lambda each: (each.x, each.y)))
    return Drawing(layout.width, layout.height, size.width, size.height, placed, layout.lines)


def _shortened(name: str, letters: int) -> str:
    """The name, cut in the middle if it is long, as related names have the same start or the same end."""
    if len(name) <= letters:
        return name
    tail = letters // 3
    return f"{name[: letters - tail - 1]}\N{HORIZONTAL ELLIPSIS}{name[-tail:]}"

"""Lays out charts with bars or lines over days, in pixels: `bar_chart`, `line_chart`.

A table below each chart has the same figures. Colour is never the only difference: each series also has its
own pattern or dashes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 720.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 20.0, 12.0, 30.0  # room for the axes
TICKS = 4  # at most, above zero
LABELS = 6  # dates below the chart, at most
GAP = 0.25  # between bars, as a fraction of a day's width
DOT = 3.2  # radius


@dataclass(frozen=True)
class Series:
    """One value per day, None for a day without one. `look` is a style in style.css."""

    name: str
    look: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Tick:
    """The position and the text of a grid line, or of a date below the chart."""

    at: float
    text: str


@dataclass(frozen=True)
class Bar:
    look: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Dot:
    look: str
    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Path:
    look: str
    d: str


@dataclass(frozen=True)
class Chart:
    """A drawing of WIDTH x HEIGHT pixels, and the figures that it shows as rows of text."""

    id: str
    title: str
    summary: str
    unit: str
    legend: tuple[Series, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    paths: tuple[Path, ...]
    dots: tuple[Dot, ...]
    figures: tuple[tuple[date, tuple[str, ...]], ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM
    radius: float = DOT

    @property
    def is_empty(self) -> bool:
        """Whether no day has a value other than zero."""
        return not any(value for series in self.legend for value in series.values)


def bar_chart(
    id: str, title: str, summary: str, unit: str, days: Sequence[date], series: Sequence[Series]
) -> Chart:
    """A bar for each day with its counts stacked. `summary` describes the chart in a sentence."""
    sums = [sum(each.values[n] or 0 for each in series) for n in range(len(days))]
    scale = _Scale(len(days), max(sums, default=0), least_step=1)
    bars = []
    for number, day in enumerate(days):
        below = 0.0
        for each in series:
            value = each.values[number] or 0
            if value:
                top, bottom = scale.y(below + value), scale.y(below)
                x = scale.x(number) - scale.step * (1 - GAP) / 2
                label = f"{day:%Y-%m-%d}: {text(value)} {each.name.lower()}"
                height = round(bottom - top, 1)
                bars.append(Bar(each.look, round(x, 1), top, round(scale.step * (1 - GAP), 1), height, label))
                below += value
    return _chart(id, title, summary, unit, days, series, scale, bars=tuple(bars))


def line_chart(
    id: str, title: str, summary: str, unit: str, days: Sequence[date], series: Sequence[Series]
) -> Chart:
    """A line per series, broken at days without a value, with a dot for every value."""
    highest = max((value for each in series for value in each.values if value is not None), default=0)
    scale = _Scale(len(days), highest)
    paths, dots = [], []
    for each in series:
        pen, steps = "M", []
        for number, value in enumerate(each.values):
            if value is None:
                pen = "M"
                continue
            x, y = scale.x(number), scale.y(value)
            steps.append(f"{pen}{x} {y}")
            dots.append(Dot(each.look, x, y, f"{days[number]:%Y-%m-%d}: {text(value)} {unit}, {each.name}"))
            pen = "L"
        if steps:
            paths.append(Path(each.look, "".join(steps)))
    return _chart(id, title, summary, unit, days, series, scale, paths=tuple(paths), dots=tuple(dots))


def text(value: float) -> str:
    """`1,204`, `12.5`, `0.25`."""
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"


class _Scale:
    """Converts day numbers and values to pixels. The highest tick is round and not below any value."""

    def __init__(self, days: int, highest: float, least_step: float = 0) -> None:
        self.step = (WIDTH - LEFT - RIGHT) / max(days, 1)
        step = max(_round_step(highest), least_step)
        self.ticks = (
            [n * step for n in range(math.ceil(highest / step - 1e-9) + 1)] if highest > 0 else [0, 1]
        )
        self._top = self.ticks[-1]

    def x(self, number: int) -> float:
        """The middle of a day."""
        return round(LEFT + self.step * (number + 0.5), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - value / self._top * (HEIGHT - TOP - BOTTOM), 1)


def _round_step(highest: float) -> float:
    """1, 2 or 5 times a power of ten, such that at most TICKS steps reach the highest value."""
    if highest <= 0:
        return 1
    magnitude = 10.0 ** math.floor(math.log10(highest / TICKS))
    return next(n * magnitude for n in (1, 2, 5, 10, 20) if n * magnitude * TICKS >= highest)


def _chart(
    id: str,
    title: str,
    summary: str,
    unit: str,
    days: Sequence[date],
    series: Sequence[Series],
    scale: _Scale,
    *,
    bars: tuple[Bar, ...] = (),
    paths: tuple[Path, ...] = (),
    dots: tuple[Dot, ...] = (),
) -> Chart:
    every = math.ceil(len(days) / LABELS) if days else 1
    # Counted from the last day, so that it always has a label.
    shown = [number for number in range(len(days)) if (len(days) - 1 - number) % every == 0]
    return Chart(
        id=id,
        title=title,
        summary=summary,
        unit=unit,
        legend=tuple(series),
        rows=tuple(Tick(scale.y(value), text(value)) for value in scale.ticks),
        columns=tuple(Tick(scale.x(number), f"{days[number]:%b} {days[number].day}") for number in shown),
        bars=bars,
        paths=paths,
        dots=dots,
        figures=_figures(days, series),
    )


def _figures(days: Sequence[date], series: Sequence[Series]) -> tuple[tuple[date, tuple[str, ...]], ...]:
    """The values of each day as text, the newest day first."""
    return tuple(
        (day, tuple("" if (value := each.values[number]) is None else text(value) for each in series))
        for number, day in reversed(list(enumerate(days)))
    )

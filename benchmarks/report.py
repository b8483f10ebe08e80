"""Reports the measurements: the table, the aims, and the growth of cost. Pure functions of the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Step = Literal["first run", "1 % more", "nothing new"]
Contender = Literal["plain", "engine"]

STEPS: tuple[Step, ...] = ("first run", "1 % more", "nothing new")
CONTENDERS: tuple[Contender, ...] = ("plain", "engine")

# The engine's time divided by the plain script's, by orders, in the first run.
RATIO_AIMS = {10_000: 1.5, 1_000_000: 1.15}
UPDATE_SHARE_AIM = 1 / 3  # of the engine's own first run
NOTHING_NEW_SECONDS_AIM = 5.0


@dataclass(frozen=True)
class Measurement:
    """One step of one contender. `startup_seconds` are those until Spark is warm, `seconds` the rest.

    `cpu_seconds` are the processor's, on all cores, in the rest: they tell a busy machine from slow code.
    """

    orders: int
    step: Step
    contender: Contender
    repeat: int
    startup_seconds: float
    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Line:
    """One line of the table: medians over the repeats; `met` is None without an aim."""

    orders: int
    step: Step
    plain_seconds: float
    engine_seconds: float
    ratio: float
    plain_cpu_seconds: float
    engine_cpu_seconds: float
    plain_peak_bytes: float
    engine_peak_bytes: float
    met: bool | None
    verdict: str


@dataclass(frozen=True)
class Growth:
    """How one contender's cost grows, from the medians of each size, smallest first.

    `per_million`: seconds per million orders of the first run, by orders. `marginal`: the seconds that a
    million more orders cost between the smallest and the largest size. `update_seconds`: of 1 % more.
    """

    contender: Contender
    per_million: dict[int, float]
    marginal: float | None
    update_seconds: dict[int, float]


def lines(measurements: Sequence[Measurement]) -> list[Line]:
    """The table's lines, by size and step."""
    sizes = sorted({item.orders for item in measurements})
    return [_line(measurements, orders, step) for orders in sizes for step in STEPS]


def growth(measurements: Sequence[Measurement], contender: Contender) -> Growth:
    """How the cost of one contender grows over the measured sizes."""
    sizes = sorted({item.orders for item in measurements})
    first = {orders: _seconds(measurements, orders, "first run", contender) for orders in sizes}
    low, high = sizes[0], sizes[-1]
    marginal = (first[high] - first[low]) / (high - low) * 1e6 if high > low else None
    return Growth(
        contender,
        {orders: seconds / orders * 1e6 for orders, seconds in first.items()},
        marginal,
        {orders: _seconds(measurements, orders, "1 % more", contender) for orders in sizes},
    )


def as_text(measurements: Sequence[Measurement]) -> str:
    """The table, start-up and growth, as lines of text."""
    names = ("plain s", "engine s", "ratio", "plain CPU s", "engine CPU s")
    rows = [("orders", "step", *names, "plain MB", "engine MB", "verdict")]
    for line in lines(measurements):
        rows.append(
            (
                f"{line.orders:,}",
                line.step,
                f"{line.plain_seconds:.2f}",
                f"{line.engine_seconds:.2f}",
                f"{line.ratio:.2f}",
                f"{line.plain_cpu_seconds:.1f}",
                f"{line.engine_cpu_seconds:.1f}",
                f"{line.plain_peak_bytes / 1e6:,.0f}",
                f"{line.engine_peak_bytes / 1e6:,.0f}",
                line.verdict,
            )
        )
    text = _aligned(rows, left=(1, 9))
    text += ["", "Start-up until Spark is warm (not in the seconds above):"]
    for contender in CONTENDERS:
        taken = [item.startup_seconds for item in measurements if item.contender == contender]
        text.append(f"  {contender:8} median {median(taken):.1f} s, {min(taken):.1f} to {max(taken):.1f} s")
    text += ["", "How cost grows:"]
    table = [("", "orders", "first run, s per million orders", "1 % more, s")]
    for contender in CONTENDERS:
        grown = growth(measurements, contender)
        for orders, seconds in grown.per_million.items():
            update = f"{grown.update_seconds[orders]:.2f}"
            table.append((contender, f"{orders:,}", f"{seconds:,.1f}", update))
    text += _aligned(table, left=(0,))
    for contender in CONTENDERS:
        marginal = growth(measurements, contender).marginal
        if marginal is not None:
            text.append(f"  {contender}: {marginal:.1f} s for each further million orders")
    return "\n".join(text)


def _line(measurements: Sequence[Measurement], orders: int, step: Step) -> Line:
    plain, engine = (_seconds(measurements, orders, step, contender) for contender in CONTENDERS)
    first = _seconds(measurements, orders, "first run", "engine")
    met, verdict = _verdict(orders, step, plain, engine, first)
    return Line(
        orders=orders,
        step=step,
        plain_seconds=plain,
        engine_seconds=engine,
        ratio=engine / plain,
        plain_cpu_seconds=median(m.cpu_seconds for m in _of(measurements, orders, step, "plain")),
        engine_cpu_seconds=median(m.cpu_seconds for m in _of(measurements, orders, step, "engine")),
        plain_peak_bytes=median(m.peak_bytes for m in _of(measurements, orders, step, "plain")),
        engine_peak_bytes=median(m.peak_bytes for m in _of(measurements, orders, step, "engine")),
        met=met,
        verdict=verdict,
    )


def _verdict(orders: int, step: Step, plain: float, engine: float, first: float) -> tuple[bool | None, str]:
    match step:
        case "first run":
            if orders not in RATIO_AIMS:
                return None, "no aim for this size"
            aim = RATIO_AIMS[orders]
            return _judged(engine / plain <= aim, f"aim: ratio <= {aim:g}")
        case "1 % more":
            share = engine / first
            return _judged(share < UPDATE_SHARE_AIM, f"{share:.2f} of the first run, aim: < 0.33")
        case "nothing new":
            return _judged(engine < NOTHING_NEW_SECONDS_AIM, f"aim: < {NOTHING_NEW_SECONDS_AIM:g} s")


def _judged(met: bool, text: str) -> tuple[bool, str]:
    return met, f"{'met' if met else 'MISSED'} ({text})"


def _of(
    measurements: Sequence[Measurement], orders: int, step: Step, contender: Contender
) -> list[Measurement]:
    wanted = (orders, step, contender)
    return [item for item in measurements if (item.orders, item.step, item.contender) == wanted]


def _seconds(measurements: Sequence[Measurement], orders: int, step: Step, contender: Contender) -> float:
    return median(item.seconds for item in _of(measurements, orders, step, contender))


def _aligned(rows: Sequence[tuple[str, ...]], left: tuple[int, ...]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

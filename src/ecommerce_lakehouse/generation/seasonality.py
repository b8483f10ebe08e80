"""When things happen: busier evenings and weekends, with times that rise with the line number."""

from __future__ import annotations

from itertools import accumulate

from ecommerce_lakehouse.generation.columns import Columns, lookup, uniform
from ecommerce_lakehouse.generation.plan import BatchPlan

# Shares in percent of a day by hour (UTC), and of a week by weekday from Monday in units of 1 / 70.
HOUR_WEIGHTS = (2, 1, 1, 1, 1, 1, 2, 3, 4, 5, 5, 5, 6, 5, 5, 5, 5, 6, 7, 8, 8, 7, 4, 3)
WEEKDAY_WEIGHTS = (9, 8, 9, 9, 10, 13, 12)
HOUR_UNITS, WEEK_UNITS = sum(HOUR_WEIGHTS), sum(WEEKDAY_WEIGHTS)
DAY_SECONDS = 86_400


def add_event_seconds(columns: Columns, plan: BatchPlan, lines: int, key: str) -> None:
    """Add `_seconds` BIGINT since the first day, which never falls as the line in `_source` rises.

    A line is the quantile (_source + uniform of `key`) / lines of the batch's period; the inverse of the
    cumulative weight turns it into a week, a weekday, an hour and, evenly, a second of that hour.
    """
    start, end = _units_until(plan.first_day), _units_until(plan.end_day)
    share = uniform(plan.parameters.seed, key, "moment")
    columns.add("_unit", "double", f"{start}D + {end - start}D * (_source + {share}) / {lines}D")
    columns.add("_week", "bigint", f"floor(_unit / {WEEK_UNITS})")
    columns.add("_week_unit", "double", f"least(_unit - _week * {WEEK_UNITS}, {WEEK_UNITS}D)")
    slot = f"least(floor(_week_unit), {WEEK_UNITS - 1})"
    weekday_of, start_of, weight_of = _slots(WEEKDAY_WEIGHTS)
    columns.add("_weekday", "bigint", lookup(weekday_of, slot))
    columns.add(
        "_day_unit",
        "double",
        f"(_week_unit - {lookup(start_of, slot)}) * {HOUR_UNITS} / {lookup(weight_of, slot)}",
    )
    slot = f"least(floor(_day_unit), {HOUR_UNITS - 1})"
    hour_of, start_of, weight_of = _slots(HOUR_WEIGHTS)
    part = f"(_day_unit - {lookup(start_of, slot)}) / {lookup(weight_of, slot)}"
    second = f"3600 * ({lookup(hour_of, slot)} + {part})"
    columns.add(
        "_seconds",
        "bigint",
        f"(_week * 7 + _weekday) * {DAY_SECONDS} + least(floor({second}), {DAY_SECONDS - 1})",
    )


def _units_until(day: int) -> int:
    """Weight of all days before `day`; day 0 is a Monday."""
    return day // 7 * WEEK_UNITS + sum(WEEKDAY_WEIGHTS[: day % 7])


def _slots(weights: tuple[int, ...]) -> tuple[list[int], list[int], list[int]]:
    """For each unit of weight: the index it belongs to, that index's first unit, and its weight."""
    starts = [0, *accumulate(weights)]
    indexes = [index for index, weight in enumerate(weights) for _ in range(weight)]
    return indexes, [starts[index] for index in indexes], [weights[index] for index in indexes]

"""The grid of feature snapshots and what is known at each of its points: `SnapshotGrid`, `snapshots`.

A feature row is (key, `as_of`): what could be known at `as_of`, only from events before it. Snapshots lie on
a fixed grid, so no row depends on when a pipeline ran, and only closed ones exist: `as_of` is at most the
newest event. An event that is not older than the newest so far therefore changes no earlier row.

Times are whole seconds since 1970-01-01 UTC (BIGINT) until the last step: integer arithmetic is exact and
knows no session time zone. The grid lies on whole seconds, so a fraction of one never moves an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F  # noqa: N812

DAY = 86_400
GRID_ANCHOR = 4 * DAY  # Monday 1970-01-05 00:00 UTC
TRAILING_DAYS = 28


@dataclass(frozen=True)
class SnapshotGrid:
    """Points in time `days` apart, one of them Monday 1970-01-05 00:00 UTC.

    Raises ValueError unless `days` divides 28: a trailing window is a whole number of grid steps.
    """

    days: int

    def __post_init__(self) -> None:
        if self.days < 1 or TRAILING_DAYS % self.days:
            valid = [days for days in range(1, TRAILING_DAYS + 1) if TRAILING_DAYS % days == 0]
            raise ValueError(
                f"feature_snapshot_days {self.days} does not divide {TRAILING_DAYS}. "
                f"Valid values: {', '.join(map(str, valid))}."
            )

    @property
    def step(self) -> int:
        """Seconds between two points."""
        return self.days * DAY

    @property
    def trailing_steps(self) -> int:
        """Steps in the trailing window of 28 days."""
        return TRAILING_DAYS // self.days

    def first_after(self, seconds: Column) -> Column:
        """The first point strictly after a time: the first snapshot that may know of an event then."""
        return self.last_until(seconds) + F.lit(self.step)

    def last_until(self, seconds: Column) -> Column:
        """The last point at or before a time."""
        return seconds - F.pmod(seconds - F.lit(GRID_ANCHOR), F.lit(self.step))


@dataclass(frozen=True)
class Measures:
    """What to accumulate over events: column name to the expression to sum, minimise or maximise."""

    sums: Mapping[str, Column]
    minima: Mapping[str, Column] = field(default_factory=dict)
    maxima: Mapping[str, Column] = field(default_factory=dict)


def events_at(events: DataFrame, time_column: str, grid: SnapshotGrid) -> DataFrame:
    """Adds `at` (the event's time) and `snapshot` (the first point after it), both in seconds."""
    return events.withColumn("at", F.unix_seconds(time_column)).withColumn(
        "snapshot", grid.first_after(F.col("at"))
    )


def last_snapshot(grid: SnapshotGrid, *sources: tuple[DataFrame, str]) -> DataFrame:
    """One row `last` BIGINT: the last point at or before the newest of all (events, time column), in seconds.

    Without events it is a point in 1970, which closes no snapshot.
    """
    times = [rows.select(F.unix_seconds(column).alias("at")) for rows, column in sources]
    every = reduce(DataFrame.unionAll, times)
    # Not NULL, so that the optimizer need not ask for the row a second time to see whether it is.
    return every.agg(F.coalesce(grid.last_until(F.max("at")), F.lit(GRID_ANCHOR)).alias("last"))


def snapshots(
    events: DataFrame, key: str, measures: Measures, last: DataFrame, grid: SnapshotGrid
) -> DataFrame:
    """Every measure over all events before each snapshot, for every key and closed snapshot.

    In: events with `key` and `snapshot`, all of one key in one partition if `events` was repartitioned by
    it, which saves a shuffle; `last` from `last_snapshot`. Out: `key`, `snapshot`, the measures; a row for
    every grid point from the first after the key's first event to `last`.
    """
    aggregates = [F.sum(value).alias(name) for name, value in measures.sums.items()]
    aggregates += [F.min(value).alias(name) for name, value in measures.minima.items()]
    aggregates += [F.max(value).alias(name) for name, value in measures.maxima.items()]
    so_far = in_order(key).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    running = (
        [F.sum(name).over(so_far).alias(name) for name in measures.sums]
        + [F.min(name).over(so_far).alias(name) for name in measures.minima]
        + [F.max(name).over(so_far).alias(name) for name in measures.maxima]
    )
    names = [*measures.sums, *measures.minima, *measures.maxima]
    # Between two intervals with events nothing changes: each row is repeated up to the key's next one.
    until = F.least(F.lead("snapshot").over(in_order(key)) - F.lit(grid.step), F.col("last"))
    return (
        events.groupBy(key, "snapshot")
        .agg(*aggregates)
        .crossJoin(F.broadcast(last))
        .where(F.col("snapshot") <= F.col("last"))
        .select(key, "snapshot", *running, until.alias("until"))
        .select(key, F.explode(F.sequence("snapshot", "until", F.lit(grid.step))).alias("snapshot"), *names)
    )


def with_trailing(
    rows: DataFrame, key: str, names: Iterable[str], grid: SnapshotGrid, windows: int = 1
) -> DataFrame:
    """Adds `<name>_28d`: the part of a running sum that fell in the 28 days before the snapshot.

    With `windows=2` also `<name>_previous_28d`: the part in the 28 days before those.
    """
    added: dict[str, Column] = {}
    for name in names:
        # Consecutive rows of a key are one step apart, so the row n steps back holds what was known then.
        known = [F.col(name)] + [
            F.coalesce(F.lag(name, grid.trailing_steps * back).over(in_order(key)), F.lit(0))
            for back in range(1, windows + 1)
        ]
        added[f"{name}_28d"] = known[0] - known[1]
        if windows == 2:
            added[f"{name}_previous_28d"] = known[1] - known[2]
    return rows.withColumns(added)


def in_order(key: str) -> WindowSpec:
    """The snapshots of one key in time order."""
    return Window.partitionBy(key).orderBy("snapshot")


def as_of() -> Column:
    """`as_of` TIMESTAMP from `snapshot`."""
    return F.timestamp_seconds("snapshot").alias("as_of")


def days_since(seconds: str) -> Column:
    """Days, with their fraction, from a time in seconds to the snapshot; DOUBLE."""
    return (F.col("snapshot") - F.col(seconds)) / F.lit(float(DAY))


def ratio(part: Column | str, whole: Column | str) -> Column:
    """`part / whole` as DOUBLE, NULL where `whole` is 0."""
    part = F.col(part) if isinstance(part, str) else part
    whole = F.col(whole) if isinstance(whole, str) else whole
    return F.try_divide(part.cast("double"), whole.cast("double"))

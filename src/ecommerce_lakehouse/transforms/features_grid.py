"""The grid of feature snapshots, and what is known at each of its points: `SnapshotGrid`, `snapshots`.

A feature row is (key, `as_of`): what was known at `as_of`, from earlier records of earlier events. Snapshots
are on a fixed grid, so no row depends on when a pipeline ran, and only closed ones exist: `as_of` is at most
the time of the newest record. So a record that is not older than the newest so far changes no earlier row.

Times are whole seconds since 1970-01-01 UTC (BIGINT) until the last step: integer arithmetic is exact and
independent of the session's time zone. The grid is in whole seconds, so a fraction never moves an event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

DAY = 86_400
GRID_ANCHOR = 4 * DAY  # Monday 1970-01-05 00:00 UTC
TRAILING_DAYS = 28
NEVER = 2**62


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
        """The first point strictly after a time: the first snapshot that can know an event of that time."""
        return self.last_until(seconds) + F.lit(self.step)

    def last_until(self, seconds: Column) -> Column:
        """The last point at or before a time."""
        return seconds - F.pmod(seconds - F.lit(GRID_ANCHOR), F.lit(self.step))


@dataclass(frozen=True)
class Measures:
    """Measures to accumulate over events: column name to the expression to sum, minimise or maximise.

    The sums in `trailing` are also computed over the events of the 28 days before a snapshot, as
    `<name>_28d`; with `windows=2` also over the 28 days before these, as `<name>_previous_28d`.
    """

    sums: Mapping[str, Column]
    minima: Mapping[str, Column] = field(default_factory=dict)
    maxima: Mapping[str, Column] = field(default_factory=dict)
    trailing: tuple[str, ...] = ()
    windows: int = 1

    @property
    def totals(self) -> dict[str, tuple[str, int]]:
        """Every summed column: its measure and its window, 0 for the whole past."""
        found = {name: (name, 0) for name in self.sums}
        for window in range(1, self.windows + 1):
            found |= {f"{name}{WINDOWS[window]}": (name, window) for name in self.trailing}
        return found

    @property
    def extremes(self) -> Mapping[str, Callable[[Column], Column]]:
        """The minima and maxima with their aggregate functions."""
        return dict.fromkeys(self.minima, F.min) | dict.fromkeys(self.maxima, F.max)


WINDOWS = ("", "_28d", "_previous_28d")
PASSING = "_passing"  # suffix of a column's name: the extreme of events that will be superseded


def events_at(known: DataFrame, time_column: str, grid: SnapshotGrid) -> DataFrame:
    """Events as they were known, with the snapshots that know them; events that none knows are left out.

    In: `time_column`, `known_from`, `known_until`. Adds, in seconds: `at`, the event's time; `occurred`, the
    first point after it; `snapshot`, the first point that knows it; `until`, the first point that knows a
    newer record instead, NULL if none does.
    """
    return (
        known.withColumn("at", F.unix_seconds(time_column))
        .withColumns(
            {
                "occurred": grid.first_after(F.col("at")),
                "snapshot": grid.first_after(F.greatest("at", F.unix_seconds("known_from"))),
                "until": grid.first_after(F.unix_seconds("known_until")),
            }
        )
        .where("until IS NULL OR snapshot < until")
    )


def last_snapshot(grid: SnapshotGrid, *sources: tuple[DataFrame, str]) -> DataFrame:
    """One row `last` BIGINT: the last point at or before the newest of all (known, time column), in seconds.

    The time of a record is that of its event or, if later, that when it was made. Without events it is a
    point in 1970, which closes no snapshot.
    """
    times = [
        known.select(F.unix_seconds(F.greatest(column, "newest_at")).alias("at")) for known, column in sources
    ]
    every = reduce(DataFrame.unionAll, times)
    # Never NULL, or the optimizer would compute the row a second time to filter NULLs.
    return every.agg(F.coalesce(grid.last_until(F.max("at")), F.lit(GRID_ANCHOR)).alias("last"))


def changes(
    events: DataFrame, keys: Sequence[str], measures: Measures, last: DataFrame, grid: SnapshotGrid
) -> DataFrame:
    """What changes at each snapshot: one row per `keys` and `snapshot`, up to the last closed one.

    In: events from `events_at`, `last` from `last_snapshot`. Out: `keys`, `snapshot`; for each sum what it
    gains or loses there; for each extreme that of the events that stay known from there on, and, as
    `<name>_passing`, that of the events that are known there but will be superseded.
    """
    values = {**measures.sums, **measures.minima, **measures.maxima}
    return (
        events.crossJoin(F.broadcast(last))
        .where(F.col("snapshot") <= F.col("last"))
        .select(
            *keys,
            "until",
            "last",
            *[value.alias(name) for name, value in values.items()],
            F.explode(_moves(measures, grid)).alias("move"),
        )
        .where(F.col("move.at") <= F.col("last"))
        .groupBy(*keys, F.col("move.at").alias("snapshot"))
        .agg(*_changed(measures))
    )


UNKNOWN, PASSES = 0, -1  # of `_moves`: not counted, counted in the snapshot itself and in no later one


def _moves(measures: Measures, grid: SnapshotGrid) -> Column:
    """When an event moves from one window to another: ARRAY of STRUCT(`at`, `source`, `target`).

    A window is `UNKNOWN` before the first snapshot that knows the event and from `until` on; 1, 2, ... while
    the event is in the last 28 days, the 28 before, ...; and one more while it is older than every window.
    Each snapshot that knows an event that will be superseded is one more element, from `PASSES` to `PASSES`.
    """
    trailing = range(1, (measures.windows if measures.trailing else 0) + 1)
    leaves = {window: F.col("occurred") + F.lit(window * TRAILING_DAYS * DAY) for window in trailing}
    end = F.coalesce("until", F.lit(NEVER))

    def move(at: Column, source: Column | int, target: Column | int) -> Column:
        ends = {"source": source, "target": target}
        return F.struct(
            at.alias("at"), *[F.lit(window).cast("int").alias(name) for name, window in ends.items()]
        )

    def window_of(left: Callable[[Column], Column]) -> Column:
        return reduce(Column.__add__, [left(at).cast("int") for at in leaves.values()], F.lit(1))

    moves = F.array(
        move(F.col("snapshot"), UNKNOWN, window_of(lambda at: at <= F.col("snapshot"))),
        *[
            F.when((F.col("snapshot") < at) & (at < end), move(at, window, window + 1))
            for window, at in leaves.items()
        ],
        F.when(F.col("until").isNotNull(), move(F.col("until"), window_of(lambda at: at < end), UNKNOWN)),
    )
    if not measures.extremes:
        return moves
    forgotten = F.least(F.col("until") - F.lit(grid.step), F.col("last"))
    alive = F.sequence("snapshot", forgotten, F.lit(grid.step))
    passing = F.transform(alive, lambda at: move(at, PASSES, PASSES))
    return F.when(F.col("until").isNull(), moves).otherwise(F.concat(moves, passing))


def _changed(measures: Measures) -> list[Column]:
    source, target = F.col("move.source"), F.col("move.target")
    found = []
    for column, (name, window) in measures.totals.items():
        gains, loses = (
            (target == window, source == window) if window else (source == UNKNOWN, target == UNKNOWN)
        )
        change = F.when(gains, F.col(name)).when(loses, -F.col(name))
        found.append(F.coalesce(F.sum(change), F.lit(0)).alias(column))
    stays = F.col("until").isNull() & (source == UNKNOWN)
    for name, extreme in measures.extremes.items():
        found.append(extreme(F.when(stays, F.col(name))).alias(name))
        found.append(extreme(F.when(source == PASSES, F.col(name))).alias(name + PASSING))
    return found


def snapshots(
    changed: DataFrame, key: str, measures: Measures, last: DataFrame, grid: SnapshotGrid
) -> DataFrame:
    """Every measure over everything known at a snapshot, for every key and closed snapshot.

    In: the rows of `changes`, one per `key` and `snapshot`. Out: `key`, `snapshot`, the measures; a row for
    every grid point from the first at which something was known about the key up to `last`. A sum over
    nothing is 0, an extreme NULL.
    """
    in_order = Window.partitionBy(key).orderBy("snapshot")
    so_far = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    running = [F.sum(name).over(so_far).alias(name) for name in measures.totals]
    for name, extreme in measures.extremes.items():
        choose = F.least if name in measures.minima else F.greatest
        running.append(choose(extreme(F.col(name)).over(so_far), F.col(name + PASSING)).alias(name))
    names = [*measures.totals, *measures.extremes]
    # Between two rows nothing changes, so each is repeated up to the key's next one. An event that will be
    # superseded has a row at each of its snapshots and at the one that supersedes it.
    until = F.least(F.lead("snapshot").over(in_order) - F.lit(grid.step), F.col("last"))
    return (
        changed.crossJoin(F.broadcast(last))
        .select(key, "snapshot", *running, until.alias("until"))
        .select(key, F.explode(F.sequence("snapshot", "until", F.lit(grid.step))).alias("snapshot"), *names)
    )


def as_of() -> Column:
    """`as_of` TIMESTAMP from `snapshot`."""
    return F.timestamp_seconds("snapshot").alias("as_of")


def days_since(seconds: str) -> Column:
    """Days, with a fraction, from a time in seconds to the snapshot; DOUBLE."""
    return (F.col("snapshot") - F.col(seconds)) / F.lit(float(DAY))


def ratio(part: Column | str, whole: Column | str) -> Column:
    """`part / whole` as DOUBLE, NULL if `whole` is 0."""
    part = F.col(part) if isinstance(part, str) else part
    whole = F.col(whole) if isinstance(whole, str) else whole
    return F.try_divide(part.cast("double"), whole.cast("double"))

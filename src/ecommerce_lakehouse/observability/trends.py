"""Updates, rows, failures and freshness by day, for charts: `trends`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from ecommerce_lakehouse.observability.health_sql import EVENTS, health_sql

RunSql = Callable[[str], Sequence[Mapping[str, Any]]]
"""Runs a query in Databricks SQL; a mapping per row."""


@dataclass(frozen=True)
class Day:
    """One day in UTC: the updates that ended on it, and what their flows reported.

    `run_seconds` counts updates that completed or failed.
    """

    day: date
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    run_seconds: float = 0.0
    rows_written: int = 0
    judged_records: int = 0
    failed_records: int = 0

    @property
    def success_rate_percent(self) -> float | None:
        """The share of updates that completed, of those that completed or failed; None without one."""
        return _percent(self.completed, self.completed + self.failed)

    @property
    def expectation_failure_percent(self) -> float | None:
        """The share of records that failed, of those that expectations judged; None without one."""
        return _percent(self.failed_records, self.judged_records)


@dataclass(frozen=True)
class DatasetAge:
    """A dataset that its pipeline defines, and its age in seconds at the end of each day, today's as of now.

    `last_up_to_date` is None if it never was up to date; an age is None before it first was.
    """

    pipeline: str
    dataset: str
    last_up_to_date: datetime | None
    ages: tuple[float | None, ...]


@dataclass(frozen=True)
class Trends:
    """Every day of a period up to `now`, without gaps, and every dataset, the oldest first."""

    now: datetime
    days: tuple[Day, ...]
    datasets: tuple[DatasetAge, ...]

    @property
    def total(self) -> Day:
        """The sums over all days; its `day` is the last."""
        names = [name for name in Day.__dataclass_fields__ if name != "day"]
        return Day(
            self.days[-1].day, **{name: sum(getattr(day, name) for day in self.days) for name in names}
        )

    def oldest_ages(self) -> dict[str, tuple[float | None, ...]]:
        """For each pipeline, by name: the age of its oldest dataset on each day, in seconds."""
        pipelines = sorted({dataset.pipeline for dataset in self.datasets})
        return {
            pipeline: tuple(
                max((age for age in ages if age is not None), default=None)
                for ages in zip(
                    *(dataset.ages for dataset in self.datasets if dataset.pipeline == pipeline), strict=True
                )
            )
            for pipeline in pipelines
        }


def trends(run: RunSql, events: str = EVENTS, *, days: int = 30, now: datetime | None = None) -> Trends:
    """The last `days` days, today included; `events` is the name of `pipeline_events` for `run`."""
    now = now or datetime.now(UTC)
    dates = [now.date() - timedelta(days=before) for before in reversed(range(days))]
    start = datetime.combine(dates[0], time(), UTC)

    def ask(name: str) -> Sequence[Mapping[str, Any]]:
        return run(health_sql(name, events, start, start, now))

    found: dict[date, dict[str, Any]] = {day: {} for day in dates}
    for name in ("trend_updates", "trend_rows", "trend_expectations"):
        for row in ask(name):
            found[row["day"]].update({key: value for key, value in row.items() if key != "day"})
    ends = [datetime.combine(day + timedelta(days=1), time(), UTC) for day in dates[:-1]]
    return Trends(
        now,
        tuple(Day(day, **figures) for day, figures in found.items()),
        _datasets(ask("trend_freshness"), [*ends, now]),
    )


def _datasets(rows: Sequence[Mapping[str, Any]], ends: Sequence[datetime]) -> tuple[DatasetAge, ...]:
    times: dict[tuple[str, str], list[datetime]] = {}
    for row in rows:
        name = row["dataset_name"].replace("`", "").split(".")[-1]
        known = times.setdefault((row["pipeline_name"], name), [])
        if row["last_up_to_date"] is not None:
            known.append(row["last_up_to_date"])
    never = datetime.max.replace(tzinfo=UTC)
    return tuple(
        DatasetAge(pipeline, name, max(at, default=None), tuple(_age(at, end) for end in ends))
        for (pipeline, name), at in sorted(
            times.items(), key=lambda item: (max(item[1], default=never), item[0])
        )
    )


def _age(up_to_date: Sequence[datetime], end: datetime) -> float | None:
    last = max((at for at in up_to_date if at <= end), default=None)
    return None if last is None else (end - last).total_seconds()


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None

"""Figures from the event logs against the environment's targets: `check_health`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.errors import ShopError
from ecommerce_lakehouse.observability.health_sql import health_sql

Row = Mapping[str, Any]
RunSql = Callable[[str], Sequence[Row]]
"""Runs a query in Databricks SQL; a mapping per row."""
Verdict = Literal["ok", "failed", "no data"]
Trend = Literal["better", "worse", "same", "new", ""]
GB = 10**9
# The cost of less is the time that starting takes, whatever the data.
LEAST_BYTES_JUDGED = 10**6


class HealthError(ShopError):
    """Health cannot be checked; the message is one line that says what to do."""

    code = "NO_EVENTS"


@dataclass(frozen=True)
class Check:
    """One figure against its target. `subject` is the dataset, empty for the whole lakehouse.

    `figure` and `previous` (the same over the period before) are in `unit`, None where there is no data.
    `passes_above` tells whether a healthy figure is above the target or below it. A figure that
    is missing is not a failure, except for a dataset that has never been up to date.
    """

    name: str
    subject: str
    figure: float | None
    target: float
    unit: str
    verdict: Verdict
    trend: Trend
    previous: float | None = None
    passes_above: bool = False
    note: str = ""


@dataclass(frozen=True)
class Health:
    """A health check: over `days` days up to `now`, compared with as many days before."""

    environment: str
    now: datetime
    days: int
    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        return not any(check.verdict == "failed" for check in self.checks)


def check_health(
    run: RunSql,
    events: str | None,
    config: LakehouseConfig,
    *,
    billed: bool = False,
    days: int | None = None,
    now: datetime | None = None,
) -> Health:
    """Success rate, expectation failures, freshness and latency of each dataset, and cost per GB.

    `events` is what `run` calls the relation `pipeline_events`; HealthError where there is none. `days` is
    the period, by default the environment's. Where compute is `billed`, the cost is the list price of the
    pipelines' usage in `system.billing`, elsewhere the seconds that updates ran; the GB are those of raw
    files that arrived in the volume within the period.
    """
    if events is None:
        raise HealthError(
            f"There is no event log in {config.catalog}.{config.schema} yet. "
            "Run a pipeline first: lakehouse run e2e_pipeline_job"
        )
    days = days or config.health.period_days
    now = now or datetime.now(UTC)
    middle = now - timedelta(days=days)
    start = middle - timedelta(days=days)

    def ask(name: str) -> list[dict[str, Any]]:
        return [dict(row) for row in run(health_sql(name, events, start, middle, now))]

    updates = {row["period"]: row for row in ask("updates")}
    expectations = {row["period"]: row for row in ask("expectations")}
    datasets = sorted(ask("datasets"), key=lambda row: str(row["dataset_name"]))
    checks = [_success_rate(updates, config), _expectation_failures(expectations, config)]
    checks += [_freshness(row, config) for row in datasets]
    checks += [_latency(row, config) for row in datasets]
    checks.append(_cost(updates, ask, config, billed, (start, middle, now)))
    return Health(config.environment, now, days, tuple(checks))


def _success_rate(updates: Mapping[str, Row], config: LakehouseConfig) -> Check:
    figure, previous = (
        _percent(row["completed"], row["completed"] + row["failed"]) if row else None
        for row in _both(updates)
    )
    target = config.health.success_rate_percent
    note = "" if figure is not None else "no update ended in this period"
    return _check("success rate", "", figure, previous, target, "%", passes_above=True, note=note)


def _expectation_failures(expectations: Mapping[str, Row], config: LakehouseConfig) -> Check:
    figure, previous = (
        _percent(row["failed_records"], row["judged_records"]) if row else None for row in _both(expectations)
    )
    target = config.health.expectation_failure_percent
    note = "" if figure is not None else "no record was judged in this period"
    return _check("expectation failures", "", figure, previous, target, "%", note=note)


def _freshness(row: Row, config: LakehouseConfig) -> Check:
    name = _short(row["dataset_name"])
    figure, previous = (_number(row[key]) for key in ("age_seconds", "previous_age_seconds"))
    target = config.health.freshness_of(name)
    if figure is None:
        return _check("freshness", name, None, None, target, "s", missing="failed", note="never up to date")
    return _check("freshness", name, figure, previous, target, "s")


def _latency(row: Row, config: LakehouseConfig) -> Check:
    name = _short(row["dataset_name"])
    figure, previous = (_number(row[key]) for key in ("latency_seconds", "previous_latency_seconds"))
    note = "" if figure is not None else "nothing was written in this period"
    return _check("latency", name, figure, previous, config.health.latency_of(name), "s", note=note)


def _cost(
    updates: Mapping[str, Row],
    ask: Callable[[str], list[dict[str, Any]]],
    config: LakehouseConfig,
    billed: bool,
    period: tuple[datetime, datetime, datetime],
) -> Check:
    start, middle, now = period
    note = ""
    if billed:
        unit, target = "USD/GB", config.health.usd_per_gb
        try:
            spent = {row["period"]: _number(row["usd"]) for row in ask("cost")}
        except Exception as error:  # system tables are granted apart from the rest; the check goes on
            spent, note = {}, f"system.billing cannot be read: {_first_line(error)}"
    else:
        unit, target = "s/GB", config.health.run_seconds_per_gb
        spent = {name: _number(row["run_seconds"]) for name, row in updates.items()}
    arrived = {
        "current": _bytes_arrived(config, middle, now),
        "previous": _bytes_arrived(config, start, middle),
    }
    judged = {name: size if size >= LEAST_BYTES_JUDGED else 0 for name, size in arrived.items()}
    figure, previous = (_ratio(spent.get(name), judged[name] / GB) for name in ("current", "previous"))
    if figure is None and not note:
        little = f"less than {LEAST_BYTES_JUDGED / 10**6:g} MB arrived in this period"
        note = "no update ended in this period" if judged["current"] else little
    return _check("cost", "", figure, previous, target, unit, note=note)


def _bytes_arrived(config: LakehouseConfig, after: datetime, until: datetime) -> int:
    """Bytes of raw files last written within a period; the volume is a folder on Databricks too."""
    sizes = 0
    volume = Path(config.volume_path)
    for file in (*volume.glob("*_raw/**/*"), *volume.glob("*/landing/**/*")):
        status = file.stat()
        if file.is_file() and after.timestamp() < status.st_mtime <= until.timestamp():
            sizes += status.st_size
    return sizes


def _check(
    name: str,
    subject: str,
    figure: float | None,
    previous: float | None,
    target: float,
    unit: str,
    *,
    passes_above: bool = False,
    missing: Verdict = "no data",
    note: str = "",
) -> Check:
    verdict: Verdict = missing
    if figure is not None:
        passed = figure > target if passes_above else figure < target
        verdict = "ok" if passed else "failed"
    trend = _trend(figure, previous, passes_above)
    return Check(name, subject, figure, target, unit, verdict, trend, previous, passes_above, note)


def _trend(figure: float | None, previous: float | None, higher_is_better: bool) -> Trend:
    if figure is None:
        return ""
    if previous is None:
        return "new"
    if figure == previous:
        return "same"
    return "better" if (figure > previous) == higher_is_better else "worse"


def _both(rows: Mapping[str, Row]) -> tuple[Row | None, Row | None]:
    return rows.get("current"), rows.get("previous")


def _percent(part: float, whole: float) -> float | None:
    return 100 * float(part) / float(whole) if whole else None


def _ratio(amount: float | None, per: float) -> float | None:
    return amount / per if amount is not None and per else None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _short(dataset: str) -> str:
    return dataset.replace("`", "").split(".")[-1]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

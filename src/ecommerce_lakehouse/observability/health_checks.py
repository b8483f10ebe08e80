"""Figures from the event logs against the environment's targets: `check_health`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import ENTITIES
from ecommerce_lakehouse.errors import ShopError, first_line
from ecommerce_lakehouse.observability.health_sql import health_sql
from ecommerce_lakehouse.observability.source_files import SourceFile, files_in

Row = Mapping[str, Any]
RunSql = Callable[[str], Sequence[Row]]
"""Runs a query in Databricks SQL; a mapping per row."""
Verdict = Literal["ok", "failed", "no data"]
Trend = Literal["better", "worse", "same", "new", ""]
Period = tuple[datetime, datetime, datetime]
"""Start of the period before, start of the current one, now."""
GB = 10**9
# With less data the cost is only the time that a start takes.
LEAST_BYTES_JUDGED = 10**8


class HealthError(ShopError):
    """Health cannot be checked; the message is one line that says what to do."""

    code = "NO_EVENTS"


@dataclass(frozen=True)
class Check:
    """One figure against its target. `subject` is the dataset, empty for the whole lakehouse.

    `figure` and `previous` (the same over the period before) are in `unit`, None without data.
    `passes_above` says whether a healthy figure is above the target or below it. A missing figure is not a
    failure, except for a dataset that has never been up to date.
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
    """A health check over the `days` days up to `now`, compared with as many days before."""

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
    """Success rate; each dataset's expectation failures, freshness and latency; each source's end-to-end
    latency; and cost per GB.

    `events` is the name of the relation `pipeline_events` for `run`; None raises HealthError. `days` is the
    period, by default the environment's. Where compute is `billed`, the cost is the list price of the
    pipelines' usage in `system.billing`, elsewhere the seconds that updates ran; the GB are those of the raw
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
    datasets = sorted(ask("datasets"), key=lambda row: str(row["dataset_name"]))
    files = {entity.folder: files_in(config.folder_path(entity.folder)) for entity in ENTITIES.values()}
    period = (start, middle, now)
    checks = [_success_rate(updates, config)]
    checks += _expectation_failures(ask("expectations"), config)
    checks += [_freshness(row, config) for row in datasets]
    checks += [_latency(row, config) for row in datasets]
    checks += _end_to_end(files, datasets, ask("completed_updates"), config, period)
    checks.append(_cost(updates, ask, config, billed, files, period))
    return Health(config.environment, now, days, tuple(checks))


def amount(value: float | None, unit: str) -> str:
    """A figure with its unit, for people: `0.83 %`, `2 h 5 min`, `1.20 USD/GB`; empty for None."""
    if value is None:
        return ""
    if unit == "s":
        return _duration(value)
    digits = 2 if unit == "%" or unit.startswith("USD") else 0
    return f"{value:,.{digits}f} {unit}"


def _duration(seconds: float) -> str:
    """The two largest units; the second is left out if it is zero."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        first, second = f"{whole // 60} min", (whole % 60, "s")
    elif whole < 48 * 3600:
        first, second = f"{whole // 3600} h", (whole % 3600 // 60, "min")
    else:
        first, second = f"{whole // 86_400} days", (whole % 86_400 // 3600, "h")
    return f"{first} {second[0]} {second[1]}" if second[0] else first


def _success_rate(updates: Mapping[str, Row], config: LakehouseConfig) -> Check:
    figure, previous = (
        percent(row["completed"], row["completed"] + row["failed"]) if row else None for row in _both(updates)
    )
    target = config.health.success_rate_percent
    note = "" if figure is not None else "no update ended in this period"
    return check_against("success rate", "", figure, previous, target, "%", passes_above=True, note=note)


def _expectation_failures(rows: Sequence[Row], config: LakehouseConfig) -> list[Check]:
    """One check per dataset: its failures per hundred records, whatever the number of its expectations."""
    shares: dict[str, dict[str, float | None]] = {}
    for row in rows:
        share = percent(row["failed_records"], row["judged_records"])
        name = _short(row["dataset_name"])
        shares.setdefault(name, {})[row["period"]] = None if share is None else min(share, 100.0)
    target = config.health.expectation_failure_percent
    checks = []
    for name in sorted(shares):
        figure, previous = (shares[name].get(period) for period in ("current", "previous"))
        note = "" if figure is not None else "no record was judged in this period"
        checks.append(check_against("expectation failures", name, figure, previous, target, "%", note=note))
    return checks


def _freshness(row: Row, config: LakehouseConfig) -> Check:
    name = _short(row["dataset_name"])
    figure, previous = (_number(row[key]) for key in ("age_seconds", "previous_age_seconds"))
    target = config.health.freshness_of(name)
    if figure is None:
        return check_against(
            "freshness", name, None, None, target, "s", missing="failed", note="never up to date"
        )
    return check_against("freshness", name, figure, previous, target, "s")


def _latency(row: Row, config: LakehouseConfig) -> Check:
    name = _short(row["dataset_name"])
    figure, previous = (_number(row[key]) for key in ("latency_seconds", "previous_latency_seconds"))
    note = "" if figure is not None else "nothing was written in this period"
    return check_against("latency", name, figure, previous, config.health.latency_of(name), "s", note=note)


def _end_to_end(
    files: Mapping[str, Sequence[SourceFile]],
    datasets: Sequence[Row],
    updates: Sequence[Row],
    config: LakehouseConfig,
    period: Period,
) -> list[Check]:
    """One check per source: the longest time from a file's arrival until an update that read it completed.

    A file that no completed update has read counts with its waiting time so far. The readers of a source are
    the pipelines that define its bronze table.
    """
    start, middle, now = period
    checks = []
    for entity in ENTITIES.values():
        readers = {
            str(row["pipeline_name"])
            for row in datasets
            if _short(row["dataset_name"]) == f"bronze_{entity.name}"
        }
        done = [(row["start_time"], row["end_time"]) for row in updates if row["pipeline_name"] in readers]
        if not readers or not files[entity.folder]:
            continue
        longest: dict[str, float] = {}
        for file in files[entity.folder]:
            if start < file.arrived <= now:
                name = "current" if file.arrived > middle else "previous"
                seen = min((end for begin, end in done if begin > file.arrived), default=now)
                longest[name] = max(longest.get(name, 0.0), (seen - file.arrived).total_seconds())
        figure, previous = longest.get("current"), longest.get("previous")
        note = "" if figure is not None else "no file arrived in this period"
        target = config.health.end_to_end_seconds
        checks.append(
            check_against("end-to-end latency", entity.name, figure, previous, target, "s", note=note)
        )
    return checks


def _cost(
    updates: Mapping[str, Row],
    ask: Callable[[str], list[dict[str, Any]]],
    config: LakehouseConfig,
    billed: bool,
    files: Mapping[str, Sequence[SourceFile]],
    period: Period,
) -> Check:
    start, middle, now = period
    note = ""
    if billed:
        unit, target = "USD/GB", config.health.usd_per_gb
        try:
            spent = {row["period"]: _number(row["usd"]) for row in ask("cost")}
        except Exception as error:  # system tables need grants of their own; the check goes on without them
            spent, note = {}, f"system.billing cannot be read: {first_line(error)}"
    else:
        unit, target = "s/GB", config.health.run_seconds_per_gb
        spent = {name: _number(row["run_seconds"]) for name, row in updates.items()}
    arrived = {
        name: sum(file.size for found in files.values() for file in found if after < file.arrived <= until)
        for name, after, until in (("current", middle, now), ("previous", start, middle))
    }
    judged = {name: size if size >= LEAST_BYTES_JUDGED else 0 for name, size in arrived.items()}
    figure, previous = (_ratio(spent.get(name), judged[name] / GB) for name in ("current", "previous"))
    if figure is None and not note:
        little = f"less than {LEAST_BYTES_JUDGED / 10**6:g} MB arrived in this period"
        note = "no update ended in this period" if judged["current"] else little
    return check_against("cost", "", figure, previous, target, unit, note=note)


def check_against(
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
    """A figure against its target; without a figure the verdict is `missing`."""
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


def percent(part: float, whole: float) -> float | None:
    """The share in per cent; None of nothing."""
    return 100 * float(part) / float(whole) if whole else None


def _ratio(amount: float | None, per: float) -> float | None:
    return amount / per if amount is not None and per else None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _short(dataset: str) -> str:
    return dataset.replace("`", "").split(".")[-1]

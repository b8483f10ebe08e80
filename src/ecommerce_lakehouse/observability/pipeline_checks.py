"""Checks that the tables are consistent after a run: `check_pipelines`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import ENTITIES, Entity
from ecommerce_lakehouse.errors import ShopError
from ecommerce_lakehouse.observability.health_checks import amount
from ecommerce_lakehouse.observability.health_sql import EVENTS, health_sql
from ecommerce_lakehouse.observability.trends import RunSql


class PipelineCheckError(ShopError):
    """There is nothing to check; the message is one line that says what to do."""

    code = "NO_EVENTS"


@dataclass(frozen=True)
class PipelineCheck:
    """One check of one table, entity or pipeline. `figure` and `expected` are texts to compare."""

    name: str
    subject: str
    passed: bool
    figure: str
    expected: str


@dataclass(frozen=True)
class PipelineReport:
    """All checks, and what every expectation of the environment's health period counted."""

    environment: str
    checks: tuple[PipelineCheck, ...]
    expectations: tuple[Mapping[str, Any], ...]

    @property
    def failed(self) -> tuple[PipelineCheck, ...]:
        return tuple(check for check in self.checks if not check.passed)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values, with which the notebook exits."""
        return {
            "environment": self.environment,
            "passed": not self.failed,
            "checks": [asdict(check) for check in self.checks],
            "expectations": [dict(row) for row in self.expectations],
        }


def check_pipelines(
    run: RunSql, tables: Mapping[str, str], config: LakehouseConfig, *, now: datetime | None = None
) -> PipelineReport:
    """Check what the pipelines that have run wrote.

    `tables` maps the schema's tables to their names for `run`. For every entity that arrived: its lines are
    in silver, in quarantine or among the duplicates; no key is NULL or repeated; each quarantined line has a
    reason. For every pipeline: its newest update completed, and every dataset meets the environment's target
    of freshness. Raises PipelineCheckError before the first run.
    """
    events = tables.get(EVENTS)
    if events is None:
        raise PipelineCheckError(
            f"No pipeline has run in {config.catalog}.{config.schema} yet. "
            "Run one: lakehouse run e2e_pipeline_job"
        )
    now = now or datetime.now(UTC)
    start = now - timedelta(days=config.health.period_days)

    def ask(name: str) -> Sequence[Mapping[str, Any]]:
        return run(health_sql(name, events, start, start, now))

    checks: list[PipelineCheck] = []
    for entity in ENTITIES.values():
        if f"bronze_{entity.name}" in tables:
            checks += _entity_checks(run, tables, entity)
    checks += [_update_check(row) for row in ask("newest_updates")]
    checks += [_freshness_check(row, config) for row in ask("datasets")]
    return PipelineReport(config.environment, tuple(checks), tuple(ask("expectation_totals")))


def _entity_checks(run: RunSql, tables: Mapping[str, str], entity: Entity) -> list[PipelineCheck]:
    places = {
        "lines": f"bronze_{entity.name}",
        "good": f"silver_{entity.target}",
        "quarantined": f"quarantine_{entity.target}",
        "duplicates": f"silver_{entity.target}_duplicates",
    }
    missing = [name for name in places.values() if name not in tables]
    if missing:
        what = f"without {', '.join(missing)}"
        return [PipelineCheck("tables", entity.name, False, what, "with all of its tables")]
    good, quarantined = tables[places["good"]], tables[places["quarantined"]]
    counts = ", ".join(f"(SELECT count(*) FROM {tables[name]}) AS {place}" for place, name in places.items())
    (found,) = run(
        f"SELECT {counts}, "
        f"(SELECT count(*) FROM {good} WHERE {entity.key} IS NULL) AS without_key, "
        f"(SELECT count({entity.key}) - count(DISTINCT {entity.key}) FROM {good}) AS repeated, "
        f"(SELECT count(*) FROM {quarantined} WHERE coalesce(size(broken_rules), 0) < 1) AS without_reason"
    )
    together = found["good"] + found["quarantined"] + found["duplicates"]
    return [
        PipelineCheck(
            "reconciliation",
            entity.name,
            together == found["lines"],
            f"{found['good']:,} good + {found['quarantined']:,} quarantined "
            f"+ {found['duplicates']:,} duplicates = {together:,}",
            f"{found['lines']:,} lines",
        ),
        _none("keys", places["good"], found["without_key"], f"NULL in {entity.key}"),
        _none("uniqueness", places["good"], found["repeated"], f"repeated in {entity.key}"),
        _none("reasons", places["quarantined"], found["without_reason"], "without a broken rule"),
    ]


def _none(name: str, table: str, count: int, what: str) -> PipelineCheck:
    return PipelineCheck(name, table, count == 0, f"{count:,} {what}", f"0 {what}")


def _update_check(row: Mapping[str, Any]) -> PipelineCheck:
    state = row["state"] or "not ended"
    return PipelineCheck("newest update", row["pipeline_name"], state == "COMPLETED", state, "COMPLETED")


def _freshness_check(row: Mapping[str, Any], config: LakehouseConfig) -> PipelineCheck:
    dataset = row["dataset_name"].replace("`", "").split(".")[-1]
    target, age = config.health.freshness_of(dataset), row["age_seconds"]
    return PipelineCheck(
        "freshness",
        dataset,
        age is not None and age < target,
        "never up to date" if age is None else amount(age, "s"),
        f"less than {amount(target, 's')}",
    )

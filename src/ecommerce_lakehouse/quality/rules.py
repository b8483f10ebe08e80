"""The rule registry: every rule of every dataset of every pipeline, in one place: `rules_for`.

A constraint is a SQL expression over one row and deterministic: time comes from the row's `ingested_at`.
A constraint that evaluates to NULL is broken, as it is on Databricks. The rules themselves are in
`rules_silver.py`, `rules_gold.py` and `rules_features.py`; how one is written, in `rule.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.quality import rules_features, rules_gold, rules_silver
from ecommerce_lakehouse.quality.rule import (
    AnyRule,
    DatasetRule,
    Rule,
    RuleError,
    RuleSet,
    Severity,
    Tolerance,
)
from ecommerce_lakehouse.quality.rules_quality import check_rules, reconciliation_rules

__all__ = [
    "DatasetRule",
    "Rule",
    "RuleError",
    "RuleProblem",
    "RuleSet",
    "Severity",
    "Tolerance",
    "datasets_with_rules",
    "pipeline_rules",
    "registry_problems",
    "rules_for",
    "tolerating_problems",
]

# What each pipeline's folder in src/pipelines declares.
PIPELINES: dict[str, Callable[[LakehouseConfig], dict[str, RuleSet]]] = {
    "medallion": lambda config: (
        rules_silver.orders(config) | rules_silver.customers(config) | rules_gold.medallion()
    ),
    "ml_features": lambda config: rules_silver.activity(config) | rules_features.features(),
    "order_analytics": lambda config: rules_silver.order_batches(config) | rules_gold.order_analytics(),
}


@dataclass(frozen=True)
class RuleProblem:
    """A rule that cannot be used. `location` is `file:line`, `message` one line."""

    location: str
    message: str


def rules_for(dataset: str, config: LakehouseConfig) -> RuleSet:
    """The rules of a dataset, by its `<layer>_<entity>` name.

    KeyError for one without rules; RuleError where two share a name, or a rule cannot be used.
    """
    rules = _registry(config)[dataset]
    found = list(rules.problems(dataset))
    if not found:
        return rules
    if _tolerating.get():
        return _without([rule for rule, _ in found], rules)
    raise RuleError("; ".join(f"{rule.location}: {problem}" for rule, problem in found))


def datasets_with_rules(config: LakehouseConfig) -> tuple[str, ...]:
    """Names of all datasets that have rules."""
    return tuple(_registry(config))


def pipeline_rules(pipeline: str, config: LakehouseConfig) -> dict[str, RuleSet]:
    """The rules of the datasets that a pipeline declares, by dataset; KeyError for an unknown pipeline."""
    return {name: rules_for(name, config) for name in PIPELINES[pipeline](config)}


def registry_problems(config: LakehouseConfig) -> list[RuleProblem]:
    """Everything that is wrong in the registry as far as it can be told without Spark."""
    return [
        RuleProblem(rule.location, problem)
        for dataset, rules in _registry(config).items()
        for rule, problem in rules.problems(dataset)
    ]


_tolerating: ContextVar[bool] = ContextVar("tolerating", default=False)


@contextmanager
def tolerating_problems() -> Iterator[None]:
    """Within, `rules_for` leaves out what cannot be used: for a validation that goes on to find the rest."""
    token = _tolerating.set(True)
    try:
        yield
    finally:
        _tolerating.reset(token)


def _registry(config: LakehouseConfig) -> dict[str, RuleSet]:
    found: dict[str, RuleSet] = {}
    for pipeline, rules in PIPELINES.items():
        found |= rules(config)
        found[f"quality_checks_{pipeline}"] = check_rules()
        found[f"quality_reconciliation_{pipeline}"] = reconciliation_rules()
    return found


def _without(bad: list[AnyRule], rules: RuleSet) -> RuleSet:
    return replace(
        rules,
        rules=tuple(rule for rule in rules.rules if rule not in bad),
        checks=tuple(check for check in rules.checks if check not in bad),
    )

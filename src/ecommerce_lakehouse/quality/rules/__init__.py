"""The rule registry, with every rule of every dataset of every pipeline: `rules_for`.

A constraint is a deterministic SQL expression over one row: time comes from the row's `ingested_at`. A
constraint that evaluates to NULL is broken, as on Databricks. `rule.py` defines how a rule is written.

The rules of a pipeline are in the module of this package that is named like its folder in `src/pipelines`:
its `rules(config)` returns them by dataset. No other place names the module.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from importlib import import_module

from ecommerce_lakehouse.config import LakehouseConfig
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
    "pipelines_with_rules",
    "registry_problems",
    "rules_for",
    "tolerating_problems",
]


@dataclass(frozen=True)
class RuleProblem:
    """A rule that cannot be used. `location` is `file:line`, `message` one line."""

    location: str
    message: str


def rules_for(dataset: str, config: LakehouseConfig) -> RuleSet:
    """The rules of a dataset, by its `<layer>_<entity>` name.

    RuleError if it has none, if two of them share a name, or if one cannot be used.
    """
    rules = _registry(config).get(dataset)
    if rules is None:
        raise RuleError(f"the dataset '{dataset}' has no rules in the module of its pipeline in {__name__}")
    found = list(rules.problems(dataset))
    if not found:
        return rules
    if _tolerating.get():
        return _without([rule for rule, _ in found], rules)
    (first, message), *others = found
    messages = [message, *(f"{rule.location}: {problem}" for rule, problem in others)]
    raise RuleError("; ".join(messages), location=first.location)


def datasets_with_rules(config: LakehouseConfig) -> tuple[str, ...]:
    """Names of all datasets that have rules."""
    return tuple(_registry(config))


def pipelines_with_rules() -> tuple[str, ...]:
    """Folder names of the pipelines that have rules, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def pipeline_rules(pipeline: str, config: LakehouseConfig) -> dict[str, RuleSet]:
    """The rules of the datasets that a pipeline declares, by dataset; RuleError for an unknown pipeline."""
    return {name: rules_for(name, config) for name in _declared(pipeline, config)}


def registry_problems(config: LakehouseConfig) -> list[RuleProblem]:
    """Everything that is wrong in the registry, as far as it can be found without Spark."""
    return [
        RuleProblem(rule.location, problem)
        for dataset, rules in _registry(config).items()
        for rule, problem in rules.problems(dataset)
    ]


_tolerating: ContextVar[bool] = ContextVar("tolerating", default=False)


@contextmanager
def tolerating_problems() -> Iterator[None]:
    """In this context `rules_for` skips rules that cannot be used, so that a validation finds them all."""
    token = _tolerating.set(True)
    try:
        yield
    finally:
        _tolerating.reset(token)


def _registry(config: LakehouseConfig) -> dict[str, RuleSet]:
    found: dict[str, RuleSet] = {}
    for pipeline in pipelines_with_rules():
        declared = _declared(pipeline, config)
        if twice := sorted(found.keys() & declared.keys()):
            raise RuleError(
                f"the rules of '{pipeline}' are for other pipelines' datasets: {', '.join(twice)}"
            )
        found |= declared
        found[f"quality_checks_{pipeline}"] = check_rules()
        if any(dataset.startswith("bronze_") for dataset in declared):
            found[f"quality_reconciliation_{pipeline}"] = reconciliation_rules()
    return found


def _declared(pipeline: str, config: LakehouseConfig) -> dict[str, RuleSet]:
    if pipeline not in pipelines_with_rules():
        raise RuleError(f"the pipeline '{pipeline}' has no rules: write the module {__name__}.{pipeline}")
    declared: dict[str, RuleSet] = import_module(f"{__name__}.{pipeline}").rules(config)
    return declared


def _without(bad: list[AnyRule], rules: RuleSet) -> RuleSet:
    return replace(
        rules,
        rules=tuple(rule for rule in rules.rules if rule not in bad),
        checks=tuple(check for check in rules.checks if check not in bad),
    )

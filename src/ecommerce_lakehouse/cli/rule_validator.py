"""The rule registry's part of `lakehouse validate`: `RegistryValidator`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from ecommerce_lakehouse.activation.sync.declarations import (
    AnySync,
    SyncError,
    columns_of,
    declaration_problems,
    load_syncs,
)
from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.quality.checks import has_checks
from ecommerce_lakehouse.quality.determinism import nondeterminism
from ecommerce_lakehouse.quality.rule import AnyRule, Check, Freshness, References, RowCount, Unique
from ecommerce_lakehouse.quality.rules import (
    datasets_with_rules,
    registry_problems,
    rules_for,
    tolerating_problems,
)
from lakerun.errors import UnknownNameError, closest_first
from lakerun.plugins import Problem


class RegistryValidator:
    """Implements `lakerun.plugins.RuleValidator` for one environment's rules."""

    def __init__(self, config: LakehouseConfig) -> None:
        self._config = config

    def registry_problems(self) -> Iterable[Problem]:
        found = [Problem(item.location, item.message) for item in registry_problems(self._config)]
        return [*found, *(Problem(item.location, item.message) for item in declaration_problems())]

    def loading(self) -> AbstractContextManager[None]:
        return tolerating_problems()

    def location_of(self, name: str, constraint: str) -> str | None:
        for dataset in datasets_with_rules(self._config):
            for rule in rules_for(dataset, self._config).rules:
                if (rule.name, rule.constraint) == (name, constraint):
                    return rule.location
        return None

    def nondeterminism(self, constraint: str) -> Iterable[str]:
        return nondeterminism(constraint)

    def table_problems(self, columns: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
        yield from self._rules_without_dataset(columns)
        yield from self._checks_without_column(columns)
        yield from _syncs_without_table(columns)

    def other_tables(self) -> Mapping[str, str]:
        from ecommerce_lakehouse.activation.sync.tables import SCHEMAS

        return SCHEMAS

    def counts(self) -> Mapping[str, int]:
        found = [rules_for(dataset, self._config) for dataset in datasets_with_rules(self._config)]
        return {
            "rule": sum(len(each.rules) + len(each.checks) for each in found),
            "sync": len(load_syncs()),
        }

    def _rules_without_dataset(self, declared: Iterable[str]) -> Iterator[Problem]:
        """Rules of a dataset that no pipeline declares: they are never applied."""
        names = sorted(declared)
        for dataset in datasets_with_rules(self._config):
            rules = rules_for(dataset, self._config)
            if dataset in names or not (rules.rules or has_checks(rules)):
                continue
            closest = closest_first(dataset, names)[:1]
            guess = f"; did you mean '{closest[0]}'?" if closest else ""
            first: AnyRule = rules.rules[0] if rules.rules else rules.checks[0]
            message = f"no pipeline declares the dataset '{dataset}' of this rule{guess}"
            yield Problem(first.location, message)

    def _checks_without_column(self, columns: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
        """Rules of whole datasets that use a table or column that does not exist."""
        for dataset in datasets_with_rules(self._config):
            if not columns.get(dataset):
                continue
            for rule in rules_for(dataset, self._config).checks:
                for table, column in _used_columns(dataset, rule.check):
                    known = columns.get(table)
                    if known is not None and (not known or column.lower() in map(str.lower, known)):
                        continue
                    kind, name, valid = (
                        ("table", table, columns) if known is None else ("column", column, known)
                    )
                    reason = UnknownNameError(kind, name, valid)
                    yield Problem(rule.location, f"rule '{rule.name}' of '{dataset}': {reason}")


def _syncs_without_table(columns: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Syncs of a table or column that no pipeline declares."""
    try:
        syncs = load_syncs()
    except SyncError:
        return  # `registry_problems` says so
    for sync in syncs.values():
        known = columns.get(sync.table)
        if known is None:
            yield Problem(
                sync.location, f"sync '{sync.name}': {UnknownNameError('table', sync.table, columns)}"
            )
            continue
        there = {name.lower() for name in known}
        for column in columns_of(sync):
            if known and column.lower() not in there:
                reason = UnknownNameError("column", column, known)
                yield Problem(sync.location, f"sync '{sync.name}': {reason}")
        expressions = [("where", sync.where or ""), *_expressions(sync)]
        for part, expression in expressions:
            # Its value would change by itself, and every row be sent again.
            if found := nondeterminism(expression):
                problem = f"{part} depends on more than its row: {', '.join(found)}"
                yield Problem(sync.location, f"sync '{sync.name}': {problem}")


def _expressions(sync: AnySync) -> list[tuple[str, str]]:
    return [(f"{part}.{name}", text) for part, names in sync.fields().items() for name, text in names.items()]


def _used_columns(dataset: str, check: Check) -> list[tuple[str, str]]:
    match check:
        case Unique(columns):
            return [(dataset, column) for column in columns]
        case References(column, other, to_column):
            return [(dataset, column), (other, to_column)]
        case Freshness(column, _, of):
            return [(dataset, column), of or (dataset, "ingested_at")]
        case RowCount():
            return []

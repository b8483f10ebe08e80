"""Attaches a dataset's rules to its query, whatever their severity: `expect_rules`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pyspark import pipelines

from ecommerce_lakehouse.quality.rule import RuleSet, Severity

# Databricks' and the runtime's modules offer more than open-source Spark's type hints know.
dp: Any = pipelines
Query = TypeVar("Query", bound=Callable[..., Any])


def expect_rules(rules: RuleSet, *severities: Severity) -> Callable[[Query], Query]:
    """A decorator for a dataset's query, below `@dp.table` and the like: every rule becomes an expectation.

    `severities` limits it to those. If a dataset's rules are spread over the tables that lead to it, each
    severity must be attached to one of them.
    """
    attach: dict[Severity, Any] = {
        "warn": dp.expect_all,
        "drop": dp.expect_all_or_drop,
        "fail": dp.expect_all_or_fail,
    }

    def decorate(query: Query) -> Query:
        for severity in severities or attach:
            if constraints := rules.of(severity):
                query = attach[severity](constraints)(query)
        return query

    return decorate

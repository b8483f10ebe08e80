"""Expectations: the `dp.expect*` decorators and their effect on a DataFrame.

A row whose constraint evaluates to NULL breaks it, as on Databricks. Counts cover every row that the
dataset's query returns, before anything is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lakerun.errors import GraphError
from lakerun.pipelines.results import Action, ExpectationResult

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from lakerun.spark.causes import Cause

ATTRIBUTE = "__lakehouse_expectations__"
# The start of the message for `raise_error`; the name and the row follow, each as JSON.
VIOLATION = "EXPECTATION_VIOLATION "
Query = TypeVar("Query", bound=Callable[..., Any])
Observe = Callable[["DataFrame", str, Sequence["Column"]], "DataFrame"]


@dataclass(frozen=True)
class Expectation:
    """A named SQL constraint and what happens to a row that breaks it."""

    name: str
    constraint: str
    action: Action


@dataclass(frozen=True)
class ExpectationCounts:
    """Exact counts of one dataset's expectations over some rows."""

    dataset: str
    results: tuple[ExpectationResult, ...]
    dropped: int

    @classmethod
    def of(
        cls, dataset: str, expectations: Sequence[Expectation], metrics: Mapping[str, Any]
    ) -> ExpectationCounts:
        """From the metrics that `enforce` observed; without rows they are NULL."""
        total = metrics.get("total") or 0
        results = []
        for number, item in enumerate(expectations):
            failed = metrics.get(f"failed_{number}") or 0
            results.append(ExpectationResult(item.name, item.action, passed=total - failed, failed=failed))
        return cls(dataset, tuple(results), metrics.get("dropped") or 0)


def expect(name: str, inv: str) -> Callable[[Query], Query]:
    """Count rows that break the constraint, keep them."""
    return _attach({name: inv}, "ALLOW")


def expect_or_drop(name: str, inv: str) -> Callable[[Query], Query]:
    """Drop rows that break the constraint."""
    return _attach({name: inv}, "DROP")


def expect_or_fail(name: str, inv: str) -> Callable[[Query], Query]:
    """Fail the flow when a row breaks the constraint; nothing of the batch is written."""
    return _attach({name: inv}, "FAIL")


def expect_all(expectations: Mapping[str, str]) -> Callable[[Query], Query]:
    """`expect` for each `{name: constraint}`."""
    return _attach(expectations, "ALLOW")


def expect_all_or_drop(expectations: Mapping[str, str]) -> Callable[[Query], Query]:
    """`expect_or_drop` for each `{name: constraint}`."""
    return _attach(expectations, "DROP")


def expect_all_or_fail(expectations: Mapping[str, str]) -> Callable[[Query], Query]:
    """`expect_or_fail` for each `{name: constraint}`."""
    return _attach(expectations, "FAIL")


def of_function(query: Callable[..., Any]) -> tuple[Expectation, ...]:
    """The expectations that decorators attached to a query function."""
    return getattr(query, ATTRIBUTE, ())


def checked(expectations: Sequence[Expectation], dataset: str) -> tuple[Expectation, ...]:
    """The same expectations; GraphError if two of a dataset have the same name."""
    names = [item.name for item in expectations]
    for name in names:
        if names.count(name) > 1:
            raise GraphError(f"Dataset '{dataset}' has two expectations named '{name}'.")
    return tuple(expectations)


def enforce(
    rows: DataFrame, expectations: Sequence[Expectation], metric: str, observe: Observe, *, fail: bool
) -> DataFrame:
    """Count every expectation on `rows`, then drop rows and fail as the expectations require.

    `observe(df, metric, aggregates)` attaches the aggregates: `total`, `failed_<n>` per expectation,
    `dropped`. With `fail=False` violations only count, as in the second pass after a failure.
    """
    from pyspark.sql import functions as F  # noqa: N812

    if not expectations:
        return rows
    broken = [~F.coalesce(F.expr(item.constraint).cast("boolean"), F.lit(False)) for item in expectations]
    dropping = _any([flag for item, flag in zip(expectations, broken, strict=True) if item.action == "DROP"])
    failing = [(item, flag) for item, flag in zip(expectations, broken, strict=True) if item.action == "FAIL"]
    aggregates = [F.count(F.lit(1)).alias("total")]
    aggregates += [F.count_if(flag).alias(f"failed_{number}") for number, flag in enumerate(broken)]
    if dropping is not None:
        aggregates.append(F.count_if(dropping).alias("dropped"))
    observed = observe(rows, metric, aggregates)
    keep = F.lit(True) if dropping is None else ~dropping
    if failing and fail:
        # One expression, so that no optimizer rule drops the row before it can fail.
        sample = F.to_json(F.struct(*[F.col(f"`{name}`") for name in rows.columns]))
        condition = keep
        for item, flag in failing:
            message = F.concat(F.lit(VIOLATION + json.dumps(item.name)), sample)
            condition = F.when(flag, F.raise_error(message).cast("boolean")).otherwise(condition)
        return observed.where(condition)
    return observed if dropping is None else observed.where(keep)


def read_violation(cause: Cause) -> tuple[str, str] | None:
    """The name of the expectation that `enforce` found broken, and the row; None for any other cause."""
    text = cause.parameters.get("errorMessage", "")
    if cause.condition != "USER_RAISED_EXCEPTION" or not text.startswith(VIOLATION):
        return None
    name, end = json.JSONDecoder().raw_decode(text, len(VIOLATION))
    return name, text[end:]


def _attach(expectations: Mapping[str, str], action: Action) -> Callable[[Query], Query]:
    added = tuple(Expectation(name, constraint, action) for name, constraint in expectations.items())

    def decorate(query: Query) -> Query:
        if not callable(query):
            raise GraphError(
                "An expectation decorates the query function: "
                "put it below @dp.table or @dp.materialized_view."
            )
        # Decorators apply from the bottom up; readers list them from the top down.
        setattr(query, ATTRIBUTE, added + of_function(query))
        return query

    return decorate


def _any(flags: Sequence[Column]) -> Column | None:
    combined: Column | None = None
    for flag in flags:
        combined = flag if combined is None else combined | flag
    return combined

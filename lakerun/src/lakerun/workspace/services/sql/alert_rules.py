"""Evaluates an alert: compares one value of its query's result with a threshold."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lakerun.errors import LakerunError, UnknownNameError

Rows = Sequence[Mapping[str, Any]]
AGGREGATIONS: dict[str, Callable[[list[Any]], Any]] = {
    "SUM": lambda values: sum(_numbers(values)),
    "COUNT": len,
    "COUNT_DISTINCT": lambda values: len(set(values)),
    "AVG": lambda values: statistics.fmean(map(float, _numbers(values))),
    "MEDIAN": lambda values: statistics.median(map(float, _numbers(values))),
    "MIN": lambda values: min(values, key=_key),
    "MAX": lambda values: max(values, key=_key),
    "STDDEV": lambda values: statistics.stdev(map(float, _numbers(values))) if len(values) > 1 else None,
}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "LESS_THAN": lambda a, b: _key(a) < _key(b),
    "LESS_THAN_OR_EQUAL": lambda a, b: _key(a) <= _key(b),
    "EQUAL": lambda a, b: _key(a) == _key(b),
    "NOT_EQUAL": lambda a, b: _key(a) != _key(b),
    "GREATER_THAN": lambda a, b: _key(a) > _key(b),
    "GREATER_THAN_OR_EQUAL": lambda a, b: _key(a) >= _key(b),
}
NULL_TESTS = ("IS_NULL", "IS_NOT_NULL")


def judge(evaluation: Mapping[str, Any], columns: Sequence[str], rows: Rows) -> tuple[str, Any]:
    """The alert's state, OK, TRIGGERED or UNKNOWN, and the value that decided it.

    Without rows the state is `empty_result_state`; a comparison with NULL is UNKNOWN. Without an
    aggregation, the value is the first row's. Raises LakerunError for a missing column or values that
    cannot be compared.
    """
    value = _operand(evaluation["source"], columns, rows)
    if not rows:
        return str(evaluation.get("empty_result_state") or "UNKNOWN"), None
    operator = evaluation["comparison_operator"]
    if operator in NULL_TESTS:
        triggered = (value is None) == (operator == "IS_NULL")
    else:
        threshold = _threshold(evaluation.get("threshold") or {}, columns, rows)
        if value is None or threshold is None:
            return "UNKNOWN", value
        triggered = COMPARISONS[operator](*_comparable(value, threshold))
    return ("TRIGGERED" if triggered else "OK"), value


def _operand(column: Mapping[str, Any], columns: Sequence[str], rows: Rows) -> Any:
    known = {name.lower(): name for name in columns}
    name = known.get(str(column["name"]).lower())
    if name is None:
        raise UnknownNameError("column of the alert's query", str(column["name"]), columns)
    if not rows:
        return None
    aggregation = column.get("aggregation")
    if not aggregation:
        return rows[0][name]
    values = [row[name] for row in rows if row[name] is not None]
    if not values and not aggregation.startswith("COUNT"):
        return None
    return AGGREGATIONS[aggregation](values)


def _threshold(threshold: Mapping[str, Any], columns: Sequence[str], rows: Rows) -> Any:
    if column := threshold.get("column"):
        return _operand(column, columns, rows)
    value = threshold.get("value") or {}
    return next(
        (value[kind] for kind in ("double_value", "string_value", "bool_value") if kind in value), None
    )


def _comparable(value: Any, threshold: Any) -> tuple[Any, Any]:
    """The values as one type: text beside another type is parsed as that type."""
    if isinstance(value, str) != isinstance(threshold, str):
        text, other = (value, threshold) if isinstance(value, str) else (threshold, value)
        read = _read(text, other)
        value, threshold = (read, threshold) if isinstance(value, str) else (value, read)
    if isinstance(value, bool) or isinstance(threshold, bool):
        value, threshold = float(value), float(threshold)
    return value, threshold


def _read(text: str, like: Any) -> Any:
    try:
        if isinstance(like, bool):
            return {"true": True, "false": False}[text.strip().lower()]
        if isinstance(like, datetime):
            read = datetime.fromisoformat(text)
            return read.replace(tzinfo=like.tzinfo) if read.tzinfo is None else read
        return date.fromisoformat(text) if isinstance(like, date) else Decimal(text)
    except (ArithmeticError, ValueError, KeyError):
        raise LakerunError(f"The alert cannot compare '{text}' with {like!r}: the types differ.") from None


def _numbers(values: list[Any]) -> list[Any]:
    if any(isinstance(value, str) for value in values):
        return [_read(str(value), Decimal(0)) for value in values]
    exact = any(isinstance(value, Decimal) for value in values)
    return [Decimal(repr(v)) if exact and isinstance(v, float) else v for v in values]


def _key(value: Any) -> Any:
    """A number by its decimal value, so that 0.1 and 0.10 are equal; NaN is the largest, as in Spark."""
    if isinstance(value, float) and math.isnan(value):
        return Decimal("Infinity")
    return Decimal(repr(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value

"""Aggregates that need more than a template: `AGGREGATES`, by Spark's name, and `count`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from sqlglot import exp

from lakerun.sql import arithmetic
from lakerun.sql.errors import only_in_spark
from lakerun.sql.expressions import AGGREGATE_NAMES, Writer
from lakerun.sql.functions import AGGREGATES as TEMPLATES
from lakerun.sql.functions import functions
from lakerun.sql.types import BIGINT, DOUBLE, Type
from lakerun.sql.values import Value


def aggregate(writer: Writer, name: str, arguments: list[exp.Expr], after: str = "") -> Value:
    """An aggregate, of a group or over a window; `after` are FILTER and OVER."""
    distinct = False
    if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
        distinct, arguments = True, list(arguments[0].expressions)
    if name == "count":
        return count(writer, arguments, distinct, after)
    values = [writer.write(argument) for argument in arguments]
    word = "DISTINCT " if distinct else ""
    if name in AGGREGATES:
        found = AGGREGATES[name](writer, values, word, after)
        if found is not None:
            return found
    return writer.call(name, values, functions(TEMPLATES).get(name, ()), distinct=word, after=after)


def count(writer: Writer, arguments: Sequence[exp.Expr], distinct: bool, after: str) -> Value:
    """count(*), count(x), count(DISTINCT a, b): rows in which none of the arguments is NULL."""
    if len(arguments) == 1 and isinstance(arguments[0], exp.Star) and not distinct:
        return Value(f"count(*){after}", BIGINT)
    values = [writer.write(argument) for argument in arguments]
    if not values or any(value.type.holds("map") or (value.type.nested and distinct) for value in values):
        raise only_in_spark("count of these values")
    word = "DISTINCT " if distinct else ""
    if len(values) == 1:
        return Value(f"count({word}{values[0].sql}){after}", BIGINT)
    present = " AND ".join(f"{value.sql} IS NOT NULL" for value in values)
    row = f"row({', '.join(value.sql for value in values)})"
    return Value(f"count({word}CASE WHEN {present} THEN {row} END){after}", BIGINT)


def _sum(writer: Writer, values: Sequence[Value], distinct: str, after: str) -> Value | None:
    if len(values) != 1 or values[0].type.name != "decimal":
        return None
    kind = values[0].type
    found = Type("decimal", precision=min(kind.precision + 10, 38), scale=kind.scale)
    return Value(f"CAST(sum({distinct}{values[0].sql}){after} AS {found.duckdb})", found)


def _avg(writer: Writer, values: Sequence[Value], distinct: str, after: str) -> Value | None:
    if len(values) != 1 or values[0].type.name != "decimal":
        return None
    kind, sql = values[0].type, values[0].sql
    found = arithmetic.adjusted(kind.precision + 4, kind.scale + 4)
    total = Type("decimal", precision=min(kind.precision + 10, 38), scale=kind.scale)
    counted = f"count({distinct}{sql}){after}"
    whole = Type("decimal", precision=20)
    divided = arithmetic.quotient(f"sum({distinct}{sql}){after}", total, counted, whole, found)
    return Value(f"(CASE WHEN {counted} > 0 THEN {divided} END)", found)


def _percentile(writer: Writer, values: Sequence[Value], distinct: str, after: str) -> Value | None:
    if len(values) != 2 or distinct or not values[0].type.numeric or not values[1].type.numeric:
        raise only_in_spark("percentile with these arguments")
    share = _share(values[1])
    return Value(f"quantile_cont({writer.to(values[0], DOUBLE)}, {share}){after}", DOUBLE)


def _median(writer: Writer, values: Sequence[Value], distinct: str, after: str) -> Value | None:
    if len(values) != 1 or distinct or not values[0].type.numeric:
        raise only_in_spark("median with these arguments")
    return Value(f"quantile_cont({writer.to(values[0], DOUBLE)}, 0.5){after}", DOUBLE)


def _approx_percentile(writer: Writer, values: Sequence[Value], distinct: str, after: str) -> Value | None:
    """Spark's result is exact as long as its sketch has every value."""
    if len(values) != 2 or distinct or not values[0].type.numeric or values[0].type.name == "float":
        raise only_in_spark("approx_percentile with these arguments")
    sql, share = values[0].sql, _share(values[1])
    exact = f"quantile_disc({sql}, {share}){after}"
    many = f"count({sql}){after} > 10000 THEN spark_only('approx_percentile of more than 10000 values')"
    return Value(f"(CASE WHEN {many} ELSE {exact} END)", values[0].type)


def _share(value: Value) -> str:
    if not isinstance(value.literal, int | float | Decimal) or not 0 <= value.literal <= 1:
        raise only_in_spark("a percentage that is not a literal from 0 to 1")
    return str(value.literal)


AGGREGATES: dict[str, Callable[[Writer, Sequence[Value], str, str], Value | None]] = {
    "sum": _sum,
    "avg": _avg,
    "mean": _avg,
    "percentile": _percentile,
    "median": _median,
    "approx_percentile": _approx_percentile,
    "percentile_approx": _approx_percentile,
}
AGGREGATE_NAMES.update(AGGREGATES)

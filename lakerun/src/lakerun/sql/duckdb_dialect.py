"""DuckDB's SQL for a query in Databricks SQL: `tree.sql(dialect=LocalDuckDB)`.

sqlglot knows most of both dialects. What it renders with another meaning, or not at all, is put right here;
what remains unknown is refused by name, so that no function answers differently from Spark unnoticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ErrorLevel, SqlglotError, UnsupportedError
from sqlglot.generators.duckdb import DuckDBGenerator as Generator

from lakerun.sql.errors import DIVISION_BY_ZERO, SqlError, not_available, spark_hint

DIALECT = "databricks"
# Marks the statement's own nodes; sqlglot adds others, which are in DuckDB's SQL already.
_OWN = "lakerun"
_INTO_MONTH = "(epoch_us({0}) - epoch_us(date_trunc('month', {0})))"
# Functions of Databricks that DuckDB lacks or understands differently; each becomes a macro `spark_<name>`.
MACROS = {
    "get_json_object": "(j, p) AS CASE WHEN json_valid(j) THEN json_extract_string(j, p) END",
    "get_json_objects": "(j, p) AS CASE WHEN json_valid(j) THEN to_json(json_extract(j, p))::VARCHAR END",
    "from_json": "(j, s) AS CASE WHEN json_valid(j) THEN json_transform(j, s) END",
    "divide": f"(a, b) AS CASE WHEN b = 0 THEN error('{DIVISION_BY_ZERO}') ELSE a / b END",
    "unix_timestamp": "(t) AS CAST(floor(epoch(CAST(t AS TIMESTAMPTZ))) AS BIGINT)",
    "whole_months": (
        "(a, b) AS date_diff('month', a, b) - CASE "
        f"WHEN b >= a AND {_INTO_MONTH.format('b')} < {_INTO_MONTH.format('a')} THEN 1 "
        f"WHEN b < a AND {_INTO_MONTH.format('b')} > {_INTO_MONTH.format('a')} THEN -1 ELSE 0 END"
    ),
    "weekday": "(d) AS isodow(CAST(d AS DATE)) - 1",
    "pmod": "(a, b) AS ((a % b) + b) % b",
    "isnull": "(x) AS x IS NULL",
    "isnotnull": "(x) AS x IS NOT NULL",
    "every": "(x) AS bool_and(x)",
    "some": "(x) AS bool_or(x)",
    "any": "(x) AS bool_or(x)",
    "or_one_null": "(x) AS CASE WHEN coalesce(len(x), 0) = 0 THEN [NULL] ELSE x END",
}
# Unknown to sqlglot, and the same in DuckDB.
_SAME_IN_DUCKDB = frozenset({"bit_length", "degrees", "make_date", "radians", "regr_r2", "regr_slope"})
_REFUSED = (exp.Inline, exp.Stack, exp.PosexplodeOuter)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
# Spark's short units of date_trunc and trunc.
_UNITS = {"MM": "MONTH", "MON": "MONTH", "YYYY": "YEAR", "YY": "YEAR", "DD": "DAY"}


def _macro(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=f"spark_{name}", expressions=list(arguments))


def _anonymous(self: Generator, node: exp.Anonymous) -> str:
    name = node.name.lower()
    return self.anonymous_sql(_macro(name, *node.expressions) if name in MACROS else node)


def _json_path(self: Generator, node: exp.JSONExtract | exp.JSONExtractScalar) -> str:
    path = node.expression
    if not isinstance(path, exp.JSONPath):
        return self.sql(_macro("get_json_object", node.this, path))
    text = path.sql("duckdb").strip("'")
    # A wildcard finds several values; DuckDB lists them, Spark writes them as one JSON array.
    name = "get_json_objects" if path.find(exp.JSONPathWildcard) else "get_json_object"
    return self.sql(_macro(name, node.this, exp.Literal.string(text)))


def _from_json(self: Generator, node: exp.FromJson) -> str:
    ddl = node.expression
    if not (isinstance(ddl, exp.Literal) and ddl.is_string):
        raise SqlError(f"from_json needs its schema as a literal here. {spark_hint()}")
    structure = json.dumps(_json_structure(_parse_ddl(ddl.name)))
    return self.sql(_macro("from_json", node.this, exp.Literal.string(structure)))


def _parse_ddl(ddl: str) -> exp.DataType:
    """A type, or the columns of a struct: Spark's from_json takes both."""
    for text in (ddl, f"struct<{ddl}>"):
        try:
            parsed = exp.DataType.build(text, dialect=DIALECT, udt=False)
        except (SqlglotError, ValueError):
            continue
        # sqlglot passes over what it does not understand within the brackets.
        if all(parsed.sql(DIALECT).count(mark) == text.count(mark) for mark in "<,"):
            return parsed
    raise SqlError(
        f"'{ddl}' is not a schema such as 'array<struct<name string, n bigint>>' or 'a int, b string'."
    )


def _json_structure(kind: exp.DataType) -> object:
    """What DuckDB's json_transform calls the type."""
    if kind.this == exp.DataType.Type.ARRAY:
        return [_json_structure(kind.expressions[0])]
    if kind.this == exp.DataType.Type.STRUCT:
        return {column.name: _json_structure(column.args["kind"]) for column in kind.expressions}
    return kind.sql("duckdb")


def _elapsed(self: Generator, node: exp.DateDiff | exp.TimestampDiff) -> str:
    """Whole units between two instants. DuckDB's date_diff counts the boundaries that lie between them."""
    unit = node.args["unit"].name.lower()
    start, end = node.expression, node.this
    if isinstance(node, exp.DateDiff) and unit == "day":
        days = [exp.cast(side, exp.DataType.Type.DATE) for side in (start, end)]
        return self.func("date_diff", exp.Literal.string("day"), *days)
    if unit in _MONTHS:  # DuckDB takes the last day of a month for a whole one
        months = _macro("whole_months", start, end)
        return self.sql(exp.paren(exp.IntDiv(this=months, expression=exp.Literal.number(_MONTHS[unit]))))
    return self.func("date_sub", exp.Literal.string(unit), start, end)


def _unix_timestamp(self: Generator, node: exp.StrToUnix) -> str:
    if isinstance(node.this, exp.Literal):
        return _duckdb(self, node)
    return self.sql(_macro("unix_timestamp", node.this))


def _day_of_week(self: Generator, node: exp.DayOfWeek) -> str:
    """Sunday is 1 in Databricks and 0 in DuckDB."""
    return f"({_duckdb(self, node)} + 1)"


def _explode_outer(self: Generator, node: exp.Explode) -> str:
    return self.func("UNNEST", _outer_rows(node))


def _lateral(self: Generator, node: exp.Lateral) -> str:
    explode = node.this
    if isinstance(explode, exp.Explode) and (node.args.get("outer") or isinstance(explode, exp.ExplodeOuter)):
        if isinstance(explode, exp.Posexplode):
            raise SqlError(f"LATERAL VIEW OUTER posexplode is not available here. {spark_hint()}")
        explode.set("this", _outer_rows(explode))
    return _duckdb(self, node)


def _outer_rows(explode: exp.Explode) -> exp.Expr:
    """The outer forms keep a row for a list that is empty or NULL; unnest drops it."""
    return _macro("or_one_null", explode.this)


def _truncate(self: Generator, node: exp.DateTrunc | exp.TimestampTrunc) -> str:
    unit = node.args["unit"].name.upper()
    if unit in _UNITS:
        node.set("unit", exp.Literal.string(_UNITS[unit]))
    return _duckdb(self, node)


def _regexp_replace(self: Generator, node: exp.RegexpReplace) -> str:
    """A captured group is $1 in Java and \\1 in DuckDB."""
    replacement = node.args.get("replacement")
    if isinstance(replacement, exp.Literal):
        node.set("replacement", exp.Literal.string(re.sub(r"\$(\d)", r"\\\1", replacement.name)))
    return _duckdb(self, node)


def _count_if(self: Generator, node: exp.CountIf) -> str:
    """Over no rows it is 0 in Spark; DuckDB sums, and a sum of nothing is NULL."""
    if isinstance(node.this, exp.Distinct):
        return _duckdb(self, node)
    return self.sql(exp.Count(this=exp.Case(ifs=[exp.If(this=node.this, true=exp.Literal.number(1))])))


def _exists(self: Generator, node: exp.Exists) -> str:
    """exists(array, lambda); EXISTS (subquery) stays."""
    if not isinstance(node.expression, exp.Lambda):
        return _duckdb(self, node)
    matching = exp.ArrayFilter(this=node.this, expression=node.expression)
    return self.sql(exp.paren(exp.GT(this=exp.Length(this=matching), expression=exp.Literal.number(0))))


def _duckdb(self: Generator, node: exp.Expr) -> str:
    """What DuckDB's own dialect writes."""
    transform = Generator.TRANSFORMS.get(type(node))
    if transform is not None:
        return transform(self, node)
    method: Callable[[Any], str] = getattr(self, f"{node.key}_sql", self.function_fallback_sql)
    return method(node)


def _of_statement(transform: Callable[[Generator, Any], str]) -> Callable[[Generator, Any], str]:
    """The transform for the statement's own nodes only."""
    return lambda self, node: (transform if node.meta.get(_OWN) else _duckdb)(self, node)


_TRANSFORMS: dict[type[exp.Expr], Callable[[Generator, Any], str]] = {
    exp.Anonymous: _anonymous,
    # max_by and min_by answer NULL where the row that they find holds NULL; DuckDB's skip such rows.
    exp.ArgMax: lambda self, node: self.func("arg_max_null", node.this, node.expression),
    exp.ArgMin: lambda self, node: self.func("arg_min_null", node.this, node.expression),
    exp.CountIf: _count_if,
    exp.DateDiff: _elapsed,
    exp.DateTrunc: _truncate,
    exp.DayOfWeek: _day_of_week,
    exp.Div: lambda self, node: self.sql(_macro("divide", node.this, node.expression)),
    exp.Exists: _exists,
    exp.FUNCTION_BY_NAME["EXPLODE_OUTER"]: _explode_outer,
    exp.FromJson: _from_json,
    exp.JSONExtract: _json_path,
    exp.JSONExtractScalar: _json_path,
    exp.Lateral: _lateral,
    exp.RegexpReplace: _regexp_replace,
    exp.StrToUnix: _unix_timestamp,
    exp.TimestampDiff: _elapsed,
    exp.TimestampTrunc: _truncate,
}


class _Generator(Generator):
    TRANSFORMS = Generator.TRANSFORMS | {
        kind: _of_statement(transform) for kind, transform in _TRANSFORMS.items()
    }

    def generate(self, expression: exp.Expr, copy: bool = True) -> str:
        tree = expression.copy() if copy else expression
        for node in tree.walk():
            _check(node)
            node.meta[_OWN] = True
            if isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.TIMESTAMP:
                # A TIMESTAMP of Databricks is an instant; DuckDB calls that TIMESTAMPTZ.
                node.type = exp.DataType(this=exp.DataType.Type.TIMESTAMPTZ)
                node.set("to", node.type)
        self.unsupported_level = ErrorLevel.RAISE
        try:
            return super().generate(tree, copy=False)
        except UnsupportedError as error:
            what = " ".join(str(error).split()).rstrip(".")
            raise SqlError(f"{what}: not available here. {spark_hint()}") from None


class LocalDuckDB(DuckDB):
    """DuckDB's SQL with the meaning that Databricks gives a statement. Raises SqlError for what has none."""

    Generator = _Generator


def _check(node: exp.Expr) -> None:
    """Refuse what would answer differently from Spark."""
    if isinstance(node, exp.Anonymous) and node.name.lower() not in MACROS.keys() | _SAME_IN_DUCKDB:
        raise not_available(node.name)
    if isinstance(node, _REFUSED):
        raise not_available(node.sql_name().lower())
    if isinstance(node, exp.Bracket) and not all(isinstance(key, exp.Literal) for key in node.expressions):
        # Arrays count from 0 in Spark and from 1 in DuckDB; here it cannot be told whether it is an array.
        raise SqlError(
            f"An index that is not a literal is not available here; use element_at. {spark_hint()}"
        )

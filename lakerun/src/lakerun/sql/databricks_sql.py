"""Databricks SQL without Spark: parse one statement that only reads, and translate it for DuckDB.

sqlglot knows most of the dialect. What it renders with another meaning, or not at all, is put right here;
what remains unknown is refused by name, so that no function answers differently from Spark unnoticed.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError, TokenError, UnsupportedError
from sqlglot.optimizer.scope import Scope, traverse_scope

from lakerun.errors import LakehouseError
from lakerun.program import program

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns on the console

DIALECT = "databricks"


# Functions of Databricks that DuckDB lacks or understands differently; each becomes a macro `spark_<name>`.
_INTO_MONTH = "(epoch_us({0}) - epoch_us(date_trunc('month', {0})))"
MACROS = {
    "get_json_object": "(j, p) AS CASE WHEN json_valid(j) THEN json_extract_string(j, p) END",
    "get_json_objects": "(j, p) AS CASE WHEN json_valid(j) THEN to_json(json_extract(j, p))::VARCHAR END",
    "from_json": "(j, s) AS CASE WHEN json_valid(j) THEN json_transform(j, s) END",
    "divide": "(a, b) AS CASE WHEN b = 0 THEN error('division by zero; use try_divide') ELSE a / b END",
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
SAME_IN_DUCKDB = frozenset({"bit_length", "degrees", "make_date", "radians", "regr_r2", "regr_slope"})
REFUSED = (exp.Inline, exp.Stack, exp.PosexplodeOuter)
# Spark's short units of date_trunc and trunc.
MONTHS = {"month": 1, "quarter": 3, "year": 12}
UNITS = {"MM": "MONTH", "MON": "MONTH", "YYYY": "YEAR", "YY": "YEAR", "DD": "DAY"}


class SqlError(LakehouseError):
    """A statement that cannot be run, in one line with its position where that is known."""

    exit_code = 2  # wrong usage, for the command line


def spark_hint() -> str:
    """What to do with a statement that only Spark can run."""
    return f"Run it in Spark: {program('sql --spark')}."


def parse_statement(sql: str) -> exp.Expr:
    """The one read-only statement in `sql`: a query, SHOW TABLES or DESCRIBE. SqlError for anything else."""
    try:
        statements = [tree for tree in sqlglot.parse(sql, read=DIALECT) if tree is not None]
    except ParseError as error:
        detail = error.errors[0]
        near = f" near '{detail['highlight']}'" if detail["highlight"] else ""
        text = re.sub(r" but got <Token.*", "", str(detail["description"]))
        raise SqlError(f"SQL syntax, line {detail['line']}, column {_start(detail)}{near}: {text}.") from None
    except TokenError as error:
        text = " ".join(str(error).split())
        raise SqlError(f"SQL syntax: {text}. Is a quote left open?") from None
    if not statements:
        raise SqlError("There is no SQL statement.")
    if len(statements) > 1:
        raise SqlError(f"Give one SQL statement; this has {len(statements)}.")
    tree = statements[0]
    if not _only_reads(tree):
        kind = sql.split(None, 1)[0].upper()
        raise SqlError(f"{kind} is refused: only SELECT, WITH, SHOW TABLES and DESCRIBE are possible.")
    return tree


def to_duckdb(tree: exp.Expr) -> str:
    """DuckDB's SQL for a query in Databricks SQL. Changes `tree`. SqlError names what has no equivalent."""
    for node in reversed(list(tree.walk(bfs=True))):  # inner nodes first: calls are nested
        _check(node)
        kind = exp.Explode if isinstance(node, exp.Explode) else type(node)
        translate = _TRANSLATIONS.get(kind)
        if translate is not None and (new := translate(node)) is not node:
            node.replace(new)
    try:
        return tree.sql("duckdb", unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise SqlError(f"{' '.join(str(error).split())}: not available here. {spark_hint()}") from None


def stored_tables(tree: exp.Expr) -> list[exp.Table]:
    """Every reference to a table; a name that a WITH defines is none."""
    try:
        scopes = traverse_scope(tree)
    except SqlglotError as error:
        raise SqlError(f"SQL: {' '.join(str(error).split())}.") from None
    defined = {
        id(node)
        for scope in scopes
        for node, source in scope.selected_sources.values()
        if isinstance(source, Scope)
    }
    return [node for node in tree.find_all(exp.Table) if id(node) not in defined]


def position(sql: str, node: exp.Expr) -> str:
    """`line 1, column 8`, where in `sql` a name stands; empty where the parser did not note it."""
    start = node.meta.get("start")
    if start is None:
        return ""
    line_start = sql.rfind("\n", 0, start) + 1
    return f"line {sql.count(chr(10), 0, start) + 1}, column {start - line_start + 1}"


def _start(detail: dict[str, object]) -> int:
    """The parser notes where a token ends."""
    return max(1, int(str(detail["col"])) - len(str(detail["highlight"] or " ")) + 1)


def _only_reads(tree: exp.Expr) -> bool:
    if isinstance(tree, exp.Command):
        return str(tree.this).upper() == "SHOW" and show_of(tree) is not None
    writes = tree.find(exp.DML, exp.DDL, exp.Into, exp.Command)
    return isinstance(tree, exp.Query | exp.Describe) and writes is None


def show_of(tree: exp.Command) -> tuple[str, str] | None:
    """What SHOW lists (tables, schemas, catalogs) and within what, "" for everything; None if unknown."""
    text = tree.text("expression").strip().replace("`", "")
    found = re.fullmatch(r"(tables|schemas|databases|catalogs)(?:\s+(?:in|from)\s+(\S+))?", text, re.I)
    if not found:
        return None
    kind = found.group(1).lower().replace("databases", "schemas")
    return kind, (found.group(2) or "").lower()


def _check(node: exp.Expr) -> None:
    if isinstance(node, exp.Anonymous):
        name = node.name.lower()
        if name not in MACROS and name not in SAME_IN_DUCKDB:
            raise SqlError(f"The function '{node.name}' is not available here. {spark_hint()}")
    if isinstance(node, REFUSED):
        raise SqlError(f"The function '{node.sql_name().lower()}' is not available here. {spark_hint()}")
    if isinstance(node, exp.Bracket) and not all(isinstance(key, exp.Literal) for key in node.expressions):
        # Arrays count from 0 in Spark and from 1 in DuckDB; here it cannot be told whether it is an array.
        raise SqlError(f"An index that is no literal is not available here; use element_at. {spark_hint()}")


def _macro(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=f"spark_{name}", expressions=list(arguments))


def _json_path(node: exp.Expr) -> exp.Expr:
    path = node.expression
    if not isinstance(path, exp.JSONPath):
        return _macro("get_json_object", node.this, path)
    text = path.sql("duckdb").strip("'")
    # A wildcard finds several values; DuckDB lists them, Spark writes them as one JSON array.
    name = "get_json_objects" if path.find(exp.JSONPathWildcard) else "get_json_object"
    return _macro(name, node.this, exp.Literal.string(text))


def _from_json(node: exp.Expr) -> exp.Expr:
    ddl = node.expression
    if not (isinstance(ddl, exp.Literal) and ddl.is_string):
        raise SqlError(f"from_json needs its schema as a literal here. {spark_hint()}")
    structure = json.dumps(_json_structure(_parse_ddl(ddl.name)))
    return _macro("from_json", node.this, exp.Literal.string(structure))


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
        f"'{ddl}' is no schema such as 'array<struct<name string, n bigint>>' or 'a int, b string'."
    )


def _json_structure(kind: exp.DataType) -> object:
    """What DuckDB's json_transform calls the type."""
    if kind.this == exp.DataType.Type.ARRAY:
        return [_json_structure(kind.expressions[0])]
    if kind.this == exp.DataType.Type.STRUCT:
        return {column.name: _json_structure(column.args["kind"]) for column in kind.expressions}
    return _zoned(kind).sql("duckdb")


def _zoned(kind: exp.DataType) -> exp.DataType:
    """A TIMESTAMP of Databricks is an instant; DuckDB calls that TIMESTAMPTZ."""
    if kind.this == exp.DataType.Type.TIMESTAMP:
        return exp.DataType(this=exp.DataType.Type.TIMESTAMPTZ)
    return kind


def _elapsed(node: exp.Expr) -> exp.Expr:
    """Whole units between two instants. DuckDB's date_diff counts the boundaries that lie between them."""
    unit = (node.args["unit"].name or "DAY").lower()
    if isinstance(node, exp.DateDiff) and unit == "day":
        days = [exp.cast(side, exp.DataType.Type.DATE) for side in (node.expression, node.this)]
        return exp.Anonymous(this="date_diff", expressions=[exp.Literal.string("day"), *days])
    if unit in MONTHS:  # DuckDB takes the last day of a month for a whole one
        months = _macro("whole_months", node.expression, node.this)
        return exp.paren(exp.IntDiv(this=months, expression=exp.Literal.number(MONTHS[unit])))
    return exp.Anonymous(this="date_sub", expressions=[exp.Literal.string(unit), node.expression, node.this])


def _unix_timestamp(node: exp.Expr) -> exp.Expr:
    return node if isinstance(node.this, exp.Literal) else _macro("unix_timestamp", node.this)


def _day_of_week(node: exp.Expr) -> exp.Expr:
    """Sunday is 1 in Databricks and 0 in DuckDB."""
    return exp.paren(exp.Add(this=node.copy(), expression=exp.Literal.number(1)))


def _explode(node: exp.Expr) -> exp.Expr:
    """The outer forms keep a row for a list that is empty or NULL; unnest drops it."""
    outer = isinstance(node, exp.ExplodeOuter)
    lateral = node.parent
    if isinstance(lateral, exp.Lateral) and lateral.args.get("outer"):
        if isinstance(node, exp.Posexplode):
            raise SqlError(f"LATERAL VIEW OUTER posexplode is not available here. {spark_hint()}")
        outer = True
    return exp.Explode(this=_macro("or_one_null", node.this)) if outer else node


def _truncate(node: exp.Expr) -> exp.Expr:
    unit = node.args["unit"]
    if unit.name.upper() in UNITS:
        node.set("unit", exp.Literal.string(UNITS[unit.name.upper()]))
    return node


def _regexp_replace(node: exp.Expr) -> exp.Expr:
    """A captured group is $1 in Java and \\1 in DuckDB."""
    replacement = node.args.get("replacement")
    if isinstance(replacement, exp.Literal):
        node.set("replacement", exp.Literal.string(re.sub(r"\$(\d)", r"\\\1", replacement.name)))
    return node


def _count_if(node: exp.Expr) -> exp.Expr:
    """Over no rows it is 0 in Spark; DuckDB sums, and a sum of nothing is NULL."""
    if isinstance(node.this, exp.Distinct):
        return node
    matching = exp.Case(ifs=[exp.If(this=node.this, true=exp.Literal.number(1))])
    return exp.Count(this=matching)


def _greatest_by(node: exp.Expr) -> exp.Expr:
    """max_by and min_by answer NULL where the row that they find holds NULL; DuckDB's skip such rows."""
    name = "arg_max_null" if isinstance(node, exp.ArgMax) else "arg_min_null"
    return exp.Anonymous(this=name, expressions=[node.this, node.expression])


def _exists(node: exp.Expr) -> exp.Expr:
    """exists(array, lambda); EXISTS (subquery) stays."""
    if not isinstance(node.expression, exp.Lambda):
        return node
    matching = exp.ArrayFilter(this=node.this, expression=node.expression)
    return exp.paren(exp.GT(this=exp.Length(this=matching), expression=exp.Literal.number(0)))


_TRANSLATIONS: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.JSONExtractScalar: _json_path,
    exp.JSONExtract: _json_path,
    exp.FromJson: _from_json,
    exp.TimestampDiff: _elapsed,
    exp.DateDiff: _elapsed,
    exp.StrToUnix: _unix_timestamp,
    exp.DayOfWeek: _day_of_week,
    exp.CountIf: _count_if,
    exp.ArgMax: _greatest_by,
    exp.ArgMin: _greatest_by,
    exp.Exists: _exists,
    exp.Div: lambda node: _macro("divide", node.this, node.expression),
    exp.Explode: _explode,
    exp.Posexplode: _explode,
    exp.DateTrunc: _truncate,
    exp.TimestampTrunc: _truncate,
    exp.RegexpReplace: _regexp_replace,
    exp.Anonymous: lambda node: (
        _macro(node.name.lower(), *node.expressions) if node.name.lower() in MACROS else node
    ),
    exp.Cast: lambda node: exp.Cast(this=node.this, to=_zoned(node.args["to"])),
    exp.TryCast: lambda node: exp.TryCast(this=node.this, to=_zoned(node.args["to"])),
}

"""Translates each kind of expression: `NODES`, by sqlglot's class.

Anything that is not known to mean the same is refused (`OnlyInSparkError`); nothing is passed on unchanged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from lakerun.sql import arithmetic, special, texts
from lakerun.sql.aggregates import aggregate
from lakerun.sql.errors import SqlError, not_available, only_in_spark
from lakerun.sql.expressions import AGGREGATE_NAMES, NODES, Writer, aggregates
from lakerun.sql.functions import CATALOGUE, functions
from lakerun.sql.registry import SCALARS
from lakerun.sql.types import (
    BIGINT,
    BINARY,
    BOOLEAN,
    DOUBLE,
    INT,
    STRING,
    VOID,
    Type,
    common,
    decimal,
    quoted,
    spark_type,
    text,
)
from lakerun.sql.values import TYPED, Value
from lakerun.sql.windows import window

if TYPE_CHECKING:
    from lakerun.sql.scopes import Relation

_COMPARED = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_BITWISE = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "xor"}


# The kinds of nodes ----------------------------------------------------------------------------------


def _literal(writer: Writer, node: exp.Literal) -> Value:
    if node.is_string:
        return Value(text(node.name), STRING, node.name)
    return number(node.name)


def number(digits: str) -> Value:
    """A number as it is written, by Spark's rules for its type."""
    if re.fullmatch(r"-?\d+", digits):
        whole = int(digits)
        kind: Type | None = INT if -(2**31) <= whole < 2**31 else BIGINT
        if not -(2**63) <= whole < 2**63:
            kind = decimal(len(str(abs(whole))), 0)
        if kind is None:
            raise only_in_spark(digits)
        return Value(f"CAST({digits} AS {kind.duckdb})", kind, whole)
    if "e" in digits.lower():
        if math.isinf(float(digits)):
            raise only_in_spark(digits)
        return Value(f"CAST('{digits}' AS DOUBLE)", DOUBLE, float(digits))
    value = Decimal(digits)
    _, places, exponent = value.as_tuple()
    scale = -int(exponent)
    found = decimal(max(len(places), scale), scale)
    if found is None:
        raise only_in_spark(digits)
    return Value(f"CAST('{digits}' AS {found.duckdb})", found, value)


def _negative(writer: Writer, node: exp.Neg) -> Value:
    inner = node.this
    if isinstance(inner, exp.Literal) and not inner.is_string:
        return number(f"-{inner.name}")
    if isinstance(inner, exp.Cast) and isinstance(inner.this, exp.Literal) and not inner.this.is_string:
        kind = spark_type(inner.to)  # -128Y
        if kind is not None and kind.name in ("float", "double"):
            return Value(f"CAST('-{inner.this.name}' AS {kind.duckdb})", kind)
        if kind is not None and kind.numeric:
            return Value(writer.to(number(f"-{inner.this.name}"), kind), kind)
    value = writer.write(inner)
    if not value.type.numeric:
        raise only_in_spark(f"- of {value.type}")
    return Value(f"CAST(- {value.sql} AS {value.type.duckdb})", value.type)


def _raw(writer: Writer, node: exp.RawString) -> Value:
    return Value(text(node.name), STRING, node.name)


def _hexadecimal(writer: Writer, node: exp.HexString) -> Value:
    return Value(f"unhex({text(node.name)})", BINARY)


def _cast(writer: Writer, node: exp.Cast) -> Value:
    kind = spark_type(node.to)
    if kind is None or node.args.get("format"):
        raise only_in_spark(f"a cast to {node.to.sql('databricks')}")
    value = writer.write(node.this)
    typed = TYPED if kind.integral and isinstance(value.literal, int) else None
    return Value(f"({writer.to(value, kind, fails=not isinstance(node, exp.TryCast))})", kind, typed)


def _column(writer: Writer, node: exp.Column) -> Value:
    if isinstance(node.this, exp.Star):
        raise only_in_spark("a star in this place")
    parts = [part.name for part in node.parts]
    if (variable := writer.variable(parts[0])) is not None:
        return fields(variable, parts[1:])
    alias = writer.aliases.get(parts[0].lower()) if len(parts) == 1 else None
    if alias is not None and writer.aliases_first:
        return alias
    found = writer.scope.find(parts)
    if found is None:
        if alias is not None:
            return alias
        raise writer.scope.unknown(node, parts)
    value, rest = found
    return fields(value, rest)


def fields(value: Value, names: Sequence[str]) -> Value:
    """A field of a struct, at any depth."""
    for name in names:
        index = [n for n, field in enumerate(value.type.fields) if field.lower() == name.lower()]
        if value.type.name != "struct" or len(index) != 1:
            raise only_in_spark(f"the field {name} of {value.type.name}")
        field = value.type.fields[index[0]]
        value = Value(f"struct_extract({value.sql}, {text(field)})", value.type.items[index[0]])
    return value


def _identifier(writer: Writer, node: exp.Identifier) -> Value:
    found = writer.variable(node.name)
    if found is None:  # a lambda's body may use columns
        return _column(writer, exp.column(node.copy()))
    return found


def _dot(writer: Writer, node: exp.Dot) -> Value:
    if not isinstance(node.expression, exp.Identifier):
        raise only_in_spark(node.sql("databricks"))
    inner = node.this
    if isinstance(inner, exp.Column) and not isinstance(inner.this, exp.Star):  # more parts than a column has
        parts = [part.name for part in inner.parts] + [node.expression.name]
        found = writer.scope.find(parts)
        if found is not None and not (writer.grouped and not writer._inside):
            return fields(found[0], found[1])
    return fields(writer.write(inner), [node.expression.name])


def _bracket(writer: Writer, node: exp.Bracket) -> Value:
    if len(node.expressions) != 1 or node.args.get("safe"):
        raise only_in_spark(node.sql("databricks"))
    value, key = writer.write(node.this), writer.write(node.expressions[0])
    if value.type.name == "array" and key.type.integral:
        return Value(f"spark_item({value.sql}, {key.sql})", value.type.items[0])
    if value.type.name == "map" and common(value.type.items[0], key.type) == value.type.items[0]:
        return Value(f"({value.sql})[{writer.to(key, value.type.items[0])}]", value.type.items[1])
    if value.type.name == "struct" and isinstance(key.literal, str):
        return fields(value, [key.literal])
    raise only_in_spark(f"[{key.type}] of {value.type}")


def _compared(writer: Writer, node: exp.Binary) -> Value:
    left, right = writer.compared(writer.write(node.this), writer.write(node.expression))
    return Value(f"({left} {_COMPARED[type(node)]} {right})", BOOLEAN)


def _null_safe(writer: Writer, node: exp.Binary) -> Value:
    left, right = writer.compared(writer.write(node.this), writer.write(node.expression))
    negated = "" if isinstance(node, exp.NullSafeNEQ) else "NOT "
    return Value(f"({left} IS {negated}DISTINCT FROM {right})", BOOLEAN)


def _connected(writer: Writer, node: exp.And | exp.Or) -> Value:
    word = "AND" if isinstance(node, exp.And) else "OR"
    left, right = (writer.condition(side, may_be_null=True) for side in (node.this, node.expression))
    return Value(f"({left} {word} {right})", BOOLEAN)


def _not(writer: Writer, node: exp.Not) -> Value:
    return Value(f"(NOT {writer.condition(node.this, may_be_null=True)})", BOOLEAN)


def _is(writer: Writer, node: exp.Is) -> Value:
    what = node.expression
    if isinstance(what, exp.Null):
        return Value(f"({writer.write(node.this).sql} IS NULL)", BOOLEAN)
    if isinstance(what, exp.Boolean):
        return Value(
            f"({writer.condition(node.this)} IS NOT DISTINCT FROM {str(what.this).lower()})", BOOLEAN
        )
    raise only_in_spark(node.sql("databricks"))


def _between(writer: Writer, node: exp.Between) -> Value:
    if node.args.get("symmetric"):
        raise only_in_spark("BETWEEN SYMMETRIC")
    value = writer.write(node.this)
    left, low = writer.compared(value, writer.write(node.args["low"]))
    right, high = writer.compared(value, writer.write(node.args["high"]))
    return Value(f"({left} >= {low} AND {right} <= {high})", BOOLEAN)


def _in(writer: Writer, node: exp.In) -> Value:
    if unknown := {key for key, value in node.args.items() if value} - {"this", "expressions", "query"}:
        raise only_in_spark(f"IN with {', '.join(unknown)}")
    value = writer.write(node.this)
    if node.args.get("query"):
        relation = _relation(writer, node.args["query"].unnest())
        if len(relation.columns) != 1:
            raise only_in_spark("IN with several columns")
        column = relation.columns[0]
        left, right = writer.compared(value, Value(quoted(column.key), column.type))
        return Value(f"({left} IN (SELECT {right} FROM ({relation.sql})))", BOOLEAN)
    found = []
    for item in node.expressions:
        left, right = writer.compared(value, writer.write(item))
        found.append(f"{left} = {right}")
    return Value(f"({' OR '.join(found)})", BOOLEAN)


def _relation(writer: Writer, query: exp.Expr) -> Relation:
    """A query in an expression."""
    relation = writer.scope.subquery(query)
    if (
        relation.correlated and writer.grouped and not writer._inside
    ):  # it has the rows' columns, not a group's
        raise only_in_spark("a subquery that names columns of a grouped query")
    return relation


def _exists(writer: Writer, node: exp.Exists) -> Value:
    relation = _relation(writer, node.this.unnest())
    return Value(f"EXISTS ({relation.sql})", BOOLEAN)


def _subquery(writer: Writer, node: exp.Subquery) -> Value:
    query = node.unnest()
    if not isinstance(query, exp.Query):
        return writer.write(query)
    relation = _relation(writer, query)
    if len(relation.columns) != 1:
        raise SqlError("SQL: a subquery in this place must have one column.")
    single = isinstance(query, exp.Select) and not query.args.get("group")
    if relation.correlated and not (single and any(aggregates(column) for column in query.selects)):
        raise only_in_spark("a subquery that names outer columns and is not an aggregate")
    return Value(f"({relation.sql})", relation.columns[0].type)


def _case(writer: Writer, node: exp.Case) -> Value:
    whens, values = [], []
    for branch in node.args["ifs"]:
        if node.this is None:
            whens.append(writer.condition(branch.this))
        else:
            left, right = writer.compared(writer.write(node.this), writer.write(branch.this))
            whens.append(f"{left} = {right}")
        values.append(writer.write(branch.args["true"]))
    default = node.args.get("default")
    values.append(writer.write(default) if default is not None else Value("NULL", VOID))
    return choice(writer, whens, values)


def choice(writer: Writer, whens: Sequence[str], values: Sequence[Value]) -> Value:
    """CASE over conditions; the last value is for none of them."""
    texts, kind = writer.texts(values)
    branches = " ".join(f"WHEN {when} THEN {then}" for when, then in zip(whens, texts, strict=False))
    return Value(f"(CASE {branches} ELSE {texts[-1]} END)", kind)


def _if(writer: Writer, node: exp.If) -> Value:
    other = node.args.get("false")
    values = [writer.write(node.args["true"]), writer.write(other) if other else Value("NULL", VOID)]
    return choice(writer, [writer.condition(node.this)], values)


def _bitwise(writer: Writer, node: exp.Binary) -> Value:
    if any(type(side) in _BITWISE and type(side) is not type(node) for side in (node.this, node.expression)):
        raise only_in_spark("&, | and ^ without brackets")  # sqlglot gives them the same precedence
    texts, kind = writer.texts([writer.write(node.this), writer.write(node.expression)])
    if not kind.integral:
        raise only_in_spark(f"bits of {kind}")
    sign = _BITWISE[type(node)]
    return Value(f"xor({texts[0]}, {texts[1]})" if sign == "xor" else f"({texts[0]} {sign} {texts[1]})", kind)


def _bitwise_not(writer: Writer, node: exp.BitwiseNot) -> Value:
    value = writer.write(node.this)
    if not value.type.integral:
        raise only_in_spark(f"bits of {value.type}")
    return Value(f"(~ {value.sql})", value.type)


def _array(writer: Writer, node: exp.Array) -> Value:
    texts, kind = writer.texts([writer.write(item) for item in node.expressions])
    if kind == VOID:
        raise only_in_spark("an array without values")
    return Value(f"CAST([{', '.join(texts)}] AS {kind.duckdb}[])", Type("array", (kind,)))


def _struct(writer: Writer, node: exp.Struct) -> Value:
    pairs = [(item.this.name, writer.write(item.expression)) for item in node.expressions]
    return special.struct(
        writer,
        [
            (f"col{n}" if name.startswith("_") and name[1:].isdigit() else name, value)
            for n, (name, value) in enumerate(pairs, 1)
        ],
    )


def _anonymous(writer: Writer, node: exp.Anonymous) -> Value:
    return function(writer, node.name.lower(), list(node.expressions))


def function(writer: Writer, name: str, arguments: list[exp.Expr]) -> Value:
    """A call of a function by Spark's name."""
    if name in SCALARS:
        return SCALARS[name](writer, arguments)
    if name in AGGREGATE_NAMES:
        with writer.inside_aggregate():
            return aggregate(writer, name, arguments)
    forms = functions(CATALOGUE).get(name)
    if forms is None:
        raise not_available(name)
    return writer.call(name, [writer.write(argument) for argument in arguments], forms)


def _filter(writer: Writer, node: exp.Filter) -> Value:
    inner = node.this
    if not isinstance(inner, exp.Anonymous) or inner.name.lower() not in AGGREGATE_NAMES:
        raise only_in_spark("FILTER of this function")
    with writer.inside_aggregate():
        filtered = f" FILTER (WHERE {writer.condition(node.expression.this)})"
        return aggregate(writer, inner.name.lower(), list(inner.expressions), filtered)


def _any(writer: Writer, node: exp.Any) -> Value:
    return function(writer, "any", [node.this.unnest()])


def _named(name: str, *keys: str) -> Callable[[Writer, Any], Value]:
    """A function for which the parser has its own node."""

    def write(writer: Writer, node: exp.Expr) -> Value:
        if {key for key, value in node.args.items() if value is not None} - set(keys):
            raise only_in_spark(node.sql("databricks"))
        return function(writer, name, [node.args[key] for key in keys if node.args.get(key) is not None])

    return write


NODES |= {
    exp.Add: arithmetic.write,
    exp.And: _connected,
    exp.Anonymous: _anonymous,
    exp.Any: _any,
    exp.Array: _array,
    exp.Between: _between,
    exp.BitwiseAnd: _bitwise,
    exp.BitwiseNot: _bitwise_not,
    exp.BitwiseOr: _bitwise,
    exp.BitwiseXor: _bitwise,
    exp.Boolean: lambda writer, node: Value(str(node.this).lower(), BOOLEAN),
    exp.Bracket: _bracket,
    exp.Case: _case,
    exp.Cast: _cast,
    exp.Column: _column,
    exp.CurrentDate: lambda writer, node: SCALARS["current_date"](writer, []),
    exp.CurrentTimestamp: lambda writer, node: SCALARS["current_timestamp"](writer, []),
    exp.DPipe: lambda writer, node: SCALARS["concat"](writer, [node.this, node.expression]),
    exp.Div: arithmetic.write,
    exp.Dot: _dot,
    exp.EQ: _compared,
    exp.Escape: texts.like,
    exp.Exists: _exists,
    exp.Extract: lambda writer, node: special.extract(writer, node.this.name, writer.write(node.expression)),
    exp.Filter: _filter,
    exp.GT: _compared,
    exp.GTE: _compared,
    exp.HexString: _hexadecimal,
    exp.ILike: texts.like,
    exp.Identifier: _identifier,
    exp.If: _if,
    exp.In: _in,
    exp.IntDiv: arithmetic.write,
    exp.Is: _is,
    exp.JSONExtract: special.json_path,
    exp.LT: _compared,
    exp.LTE: _compared,
    exp.Like: texts.like,
    exp.Literal: _literal,
    exp.Mod: arithmetic.write,
    exp.Mul: arithmetic.write,
    exp.NEQ: _compared,
    exp.Neg: _negative,
    exp.Not: _not,
    exp.Null: lambda writer, node: Value("NULL", VOID),
    exp.NullSafeEQ: _null_safe,
    exp.NullSafeNEQ: _null_safe,
    exp.Or: _connected,
    exp.Paren: lambda writer, node: writer.write(node.this),
    exp.RawString: _raw,
    exp.RegexpLike: lambda writer, node: SCALARS["rlike"](writer, [node.this, node.expression]),
    exp.StrPosition: _named("instr", "this", "substr"),
    exp.Struct: _struct,
    exp.Sub: arithmetic.write,
    exp.Subquery: _subquery,
    exp.Substring: _named("substring", "this", "start", "length"),
    exp.Transform: _named("transform", "this", "expression"),
    exp.Trim: texts.trim,
    exp.TryCast: _cast,
    exp.Window: window,
}

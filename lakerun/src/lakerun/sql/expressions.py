"""Translates an expression of Databricks SQL to DuckDB's SQL, with Spark's type: `Writer.write`.

Anything that is not known to mean the same is refused (`OnlyInSparkError`); nothing is passed on unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from lakerun.sql.casts import cast
from lakerun.sql.errors import SqlError, not_available, only_in_spark
from lakerun.sql.functions import AGGREGATES, Function, functions
from lakerun.sql.types import (
    BOOLEAN,
    STRING,
    VOID,
    Type,
    common,
)
from lakerun.sql.values import Value

if TYPE_CHECKING:
    from lakerun.sql.scopes import Scope

# Each kind of expression by sqlglot's class; `nodes.py` adds them.
NODES: dict[type[exp.Expr], Callable[[Writer, Any], Value]] = {}
# `aggregates.py` adds those that need more than a template.
AGGREGATE_NAMES = {*functions(AGGREGATES), "count"}


class Writer:
    """Writes the expressions of one SELECT."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.grouped = False  # expressions are over groups
        self.aliases: dict[str, Value] = {}  # the SELECT's own columns, where its clauses may name them
        self.aliases_first = False
        self.groups: dict[str, Value] = {}
        self._inside = False  # the arguments of an aggregate
        self._variables: dict[str, Value] = {}

    def group_by(self, keys: Sequence[Value]) -> None:
        """From now on an expression is over groups with these keys."""
        self.grouped = True
        self.groups = {key.sql: key for key in keys}

    def write(self, node: exp.Expr) -> Value:
        """DuckDB's SQL for the expression, and its type in Spark."""
        if self.grouped and not self._inside:
            alias = self._alias(node)
            if alias is not None and self.aliases_first:
                return alias
            if (key := self._key(node)) is not None:
                return key
            if alias is not None:
                return alias
            if isinstance(node, exp.Column):
                raise SqlError(
                    f'SQL: column "{node.name}" must appear in the GROUP BY clause or be aggregated.'
                )
        write = NODES.get(type(node))
        if write is None:
            raise only_in_spark(node.sql("databricks") if len(node.sql("databricks")) < 60 else node.key)
        return write(self, node)

    def texts(self, values: Sequence[Value]) -> tuple[list[str], Type]:
        """The values, widened to the type that Spark finds for all."""
        kind = VOID
        for value in values:
            kind = self._wider(kind, value)
        return [self.to(value, kind) for value in values], kind

    def _wider(self, kind: Type, value: Value) -> Type:
        found = common(kind, value.type)
        if found is None:
            raise only_in_spark(f"{kind} beside {value.type}")
        return found

    def to(self, value: Value, kind: Type, *, fails: bool = True) -> str:
        """The value's SQL, cast to a type."""
        written = cast(value.sql, value.type, kind, fails=fails)
        if written is None:
            raise only_in_spark(f"a cast from {value.type} to {kind}")
        return written

    def compared(self, left: Value, right: Value) -> tuple[str, str]:
        """Two values in the type in which they are compared: a text beside a date as a date."""
        for one, other in ((left, right), (right, left)):
            if (
                one.type == STRING
                and other.type.name in ("date", "timestamp")
                and isinstance(one.literal, str)
            ):
                cast_ = Value(self.to(one, other.type), other.type)
                left, right = (cast_, other) if one is left else (other, cast_)
                break
        if left.type.nested or right.type.nested:
            raise only_in_spark(f"a comparison of {left.type.name}")
        first, second = self.texts([left, right])[0]
        return first, second

    def condition(self, node: exp.Expr, *, may_be_null: bool = False) -> str:
        """The SQL of a condition; a plain NULL is one only in AND, OR and NOT."""
        value = self.write(node)
        if value.type != BOOLEAN and not (may_be_null and value.type == VOID):
            raise SqlError(f"SQL: {node.sql('databricks')} is {value.type}, not a condition.")
        return self.to(value, BOOLEAN)

    @contextmanager
    def inside_aggregate(self) -> Iterator[None]:
        """In this context, arguments are of single rows."""
        if self._inside or not self.grouped:
            raise only_in_spark("an aggregate in this place")
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    @contextmanager
    def variables(self, names: dict[str, Value]) -> Iterator[None]:
        """The parameters of a lambda, by their names."""
        before = self._variables
        self._variables = before | names
        try:
            yield
        finally:
            self._variables = before

    def variable(self, name: str) -> Value | None:
        return self._variables.get(name.lower())

    def _alias(self, node: exp.Expr) -> Value | None:
        single = isinstance(node, exp.Column) and len(node.parts) == 1
        return self.aliases.get(node.name.lower()) if single else None

    def _key(self, node: exp.Expr) -> Value | None:
        """The group key that the expression is, if any."""
        if not self.groups or aggregates(node) or not isinstance(node, exp.Expr):
            return None
        self._inside = True
        try:
            return self.groups.get(self.write(node).sql)
        except SqlError:
            return None
        finally:
            self._inside = False

    def call(
        self,
        name: str,
        arguments: Sequence[Value],
        forms: Sequence[Function],
        *,
        distinct: str = "",
        after: str = "",
        nulls: str = "",
    ) -> Value:
        """A function of the catalogue; `after` are FILTER and OVER."""
        for form in forms:
            kinds = form.types([value.type for value in arguments])
            if kinds is not None:
                written = [self.to(value, kind) for value, kind in zip(arguments, kinds, strict=True)]
                if distinct and "#" not in form.template:
                    raise only_in_spark(f"{name}(DISTINCT ...)")
                marks = {"#": distinct, "@": after, "!": nulls}
                marks |= {f"${number}": sql for number, sql in enumerate(written)}
                parts = re.split(r"(\$\d|[#@!])", form.template)
                sql = "".join(marks.get(part, part) for part in parts)
                return Value(f"({sql})", form.result_type(kinds))
        given = ", ".join(str(value.type) for value in arguments)
        raise not_available(f"{name}({given})")


def aggregates(node: exp.Expr) -> bool:
    """Whether the expression has an aggregate, except in a subquery or as a window's function."""
    if isinstance(node, exp.Window):
        function = node.this.this if isinstance(node.this, exp.Filter) else node.this
        parts = [*function.expressions, *node.args.get("partition_by", []), *_order(node)]
        return any(aggregates(part) for part in parts)
    if isinstance(node, exp.Query):
        return False
    if isinstance(node, exp.Any):
        return True
    if isinstance(node, exp.Anonymous) and node.name.lower() in AGGREGATE_NAMES:
        return True
    return any(aggregates(child) for child in node.iter_expressions())


def _order(node: exp.Expr) -> list[exp.Expr]:
    order = node.args.get("order")
    return [part.this for part in order.expressions] if order else []

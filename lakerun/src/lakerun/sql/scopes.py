"""Resolves the names of a statement: `Scope`, the columns of a FROM clause and of enclosing ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from sqlglot import exp

from lakerun.errors import UnknownNameError, closest_first
from lakerun.sql.databricks_sql import position
from lakerun.sql.errors import SqlError, UnknownInSqlError, only_in_spark
from lakerun.sql.types import Type, quoted
from lakerun.sql.values import Value


@dataclass(frozen=True)
class Column:
    """A column with its name in the statement; `key` is its unique name in DuckDB."""

    name: str
    type: Type
    key: str


@dataclass(frozen=True)
class Relation:
    """A query in DuckDB's SQL, and its columns. `correlated` if it names columns of an enclosing query."""

    sql: str
    columns: tuple[Column, ...]
    correlated: bool = False


@dataclass(frozen=True)
class Stored:
    """A table: the name under which its rows are registered, the columns to read, all columns' names."""

    registered: str
    name: tuple[str, ...]
    columns: tuple[tuple[str, Type | None], ...]
    all_names: tuple[str, ...]


@dataclass
class Source:
    """A table, a subquery or the like in a FROM clause."""

    name: tuple[str, ...]
    columns: list[Column]

    def called(self, qualifiers: Sequence[str]) -> bool:
        return bool(self.name) and self.name[-len(qualifiers) :] == tuple(q.lower() for q in qualifiers)


@dataclass
class Context:
    """The state that all queries of a statement share."""

    sql: str
    stored: dict[int, Stored]
    query: Callable[[exp.Expr, Scope], Relation]
    defined: list[str] = field(default_factory=list)  # WITH
    _numbers: count[int] = field(default_factory=count)

    def key(self, prefix: str = "c") -> str:
        return f"{prefix}{next(self._numbers)}"


@dataclass
class Scope:
    """The columns that the expressions of a query can name."""

    context: Context
    around: Scope | None = None
    queries: dict[str, Relation] = field(default_factory=dict)  # WITH, by lower-case name
    sources: list[Source] = field(default_factory=list)
    visible: list[Column] = field(default_factory=list)  # by a plain name, in the order of a star
    correlated: bool = False

    def find(self, parts: Sequence[str]) -> tuple[Value, list[str]] | None:
        """The column that a dotted name begins with, and the fields that follow. None for an unknown name."""
        for qualifiers in range(min(3, len(parts) - 1), -1, -1):
            name = parts[qualifiers].lower()
            if qualifiers:
                of = [source for source in self.sources if source.called(parts[:qualifiers])]
                columns = [column for source in of for column in source.columns]
            else:
                columns = self.visible
            found = [column for column in columns if column.name.lower() == name]
            if len(found) > 1:
                raise SqlError(f"SQL: the column '{parts[qualifiers]}' is ambiguous.")
            if found:
                return Value(found[0].key, found[0].type), list(parts[qualifiers + 1 :])
        outer = self.around.find(parts) if self.around else None
        self.correlated = self.correlated or outer is not None
        return outer

    def unknown(self, node: exp.Column, parts: Sequence[str]) -> SqlError:
        """The error for an unknown name."""
        known = [source for source in self.sources if len(parts) > 1 and source.called(parts[:1])]
        index = 1 if known else 0
        names = {column.name for source in known or self.sources for column in source.columns}
        for stored in self.context.stored.values():
            names |= set(stored.all_names)
        valid = closest_first(parts[index], sorted(names))
        where = position(self.context.sql, node.parts[index])
        return UnknownInSqlError(UnknownNameError("column", parts[index], valid), where)

    def subquery(self, query: exp.Expr) -> Relation:
        """A query in an expression, which may name columns of this one."""
        inner = Scope(self.context, around=self, queries=self.queries)
        relation = self.context.query(query, inner)
        return replace(relation, correlated=inner.correlated)

    def table(self, node: exp.Table) -> tuple[str, Source]:
        """A stored table or a query of WITH in FROM."""
        if unknown := {key for key, value in node.args.items() if value} - {
            "this", "db", "catalog", "alias", "version", "joins", "laterals"
        }:  # fmt: skip
            raise only_in_spark(f"a table with {', '.join(sorted(unknown))}")
        stored = self.context.stored.get(id(node))
        if stored is None:
            defined = self.queries[node.name.lower()]
            columns = [replace(column, key=self.context.key()) for column in defined.columns]
            pairs = zip(defined.columns, columns, strict=True)
            listed = ", ".join(f"{old.key} AS {new.key}" for old, new in pairs)
            return f"(SELECT {listed} FROM {defined.sql})", Source((node.name.lower(),), columns)
        unreadable = [name for name, kind in stored.columns if kind is None]
        if unreadable:
            raise only_in_spark(f"the type of the column {unreadable[0]}")
        columns = [Column(name, kind, self.context.key()) for name, kind in stored.columns if kind]
        listed = ", ".join(f"{quoted(column.name)} AS {column.key}" for column in columns) or "1"
        return f"(SELECT {listed} FROM {stored.registered})", Source(stored.name, columns)

"""Translates a query of Databricks SQL to DuckDB's, with Spark's types and order: `translated`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

import lakerun.sql.nodes  # noqa: F401  (adds the kinds of expressions)
from lakerun.sql.casts import cast
from lakerun.sql.errors import SqlError, only_in_spark
from lakerun.sql.expressions import Writer, aggregates
from lakerun.sql.relations import from_clause, generate, generator_of
from lakerun.sql.scopes import Column, Context, Relation, Scope, Source, Stored
from lakerun.sql.types import VOID, Type, common
from lakerun.sql.values import Value

_SELECT = {"expressions", "from_", "joins", "laterals", "where", "group", "having", "qualify", "hint"}
_AROUND = {"with_", "order", "limit", "offset", "distinct"}
_SETS = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}


@dataclass(frozen=True)
class Translated:
    """DuckDB's SQL, and its columns' names and types in Spark, in their order."""

    sql: str
    names: tuple[str, ...]
    types: tuple[Type, ...]


def translated(tree: exp.Expr, sql: str, stored: dict[int, Stored]) -> Translated:
    """The query `tree`, written as `sql`, over these tables, by the identity of their nodes.

    Raises OnlyInSparkError if it is not known to mean the same in DuckDB.
    """
    context = Context(sql, stored, _query)
    relation = _query(tree, Scope(context))
    defined = f"WITH {', '.join(context.defined)} " if context.defined else ""
    return Translated(
        defined + relation.sql,
        tuple(column.name for column in relation.columns),
        tuple(column.type for column in relation.columns),
    )


def column_name(node: exp.Expr) -> str:
    """Spark's name of a column, or a similar one if it has no alias."""
    if isinstance(node, exp.Alias | exp.Column | exp.Dot) and node.output_name:
        return node.output_name
    return node.sql("databricks", normalize_functions="lower")


def _query(node: exp.Expr, scope: Scope) -> Relation:
    _define(node, scope)
    if isinstance(node, exp.Subquery):
        _only(node, {"this", "alias"} | _AROUND)
        inner = _query(node.this, scope)
        return _arranged(node, inner, scope) if node.args.get("order") or node.args.get("limit") else inner
    if isinstance(node, exp.SetOperation):
        return _set_operation(node, scope)
    if isinstance(node, exp.Select):
        return _Select(node, scope).relation()
    raise only_in_spark(node.key.upper())


def _define(node: exp.Expr, scope: Scope) -> None:
    clause = node.args.get("with_")
    if clause is None:
        return
    if clause.args.get("recursive"):
        raise only_in_spark("WITH RECURSIVE")
    scope.queries = dict(scope.queries)
    for each in clause.expressions:
        relation = _query(each.this, Scope(scope.context, queries=scope.queries))
        names = [column.name for column in each.args["alias"].columns]
        name = scope.context.key("w")
        scope.context.defined.append(f"{name} AS ({relation.sql})")
        scope.queries[each.alias.lower()] = Relation(name, renamed(relation.columns, names))


def renamed(columns: Sequence[Column], names: Sequence[str]) -> tuple[Column, ...]:
    """The columns with the names of an alias such as t(a, b)."""
    if names and len(names) != len(columns):
        raise SqlError(f"SQL: {len(names)} names for {len(columns)} columns.")
    given = names or [column.name for column in columns]
    return tuple(replace(column, name=name) for column, name in zip(columns, given, strict=True))


def _only(node: exp.Expr, known: set[str]) -> None:
    unknown = {key for key, value in node.args.items() if value} - known
    if unknown:
        raise only_in_spark(", ".join(sorted(key.rstrip("_").upper() for key in unknown)))


def _set_operation(node: exp.SetOperation, scope: Scope) -> Relation:
    _only(node, {"this", "expression", "distinct"} | _AROUND)
    left, right = (
        _query(side, Scope(scope.context, around=scope.around, queries=scope.queries))
        for side in (node.this, node.expression)
    )
    if len(left.columns) != len(right.columns):
        raise SqlError(f"SQL: {len(left.columns)} columns beside {len(right.columns)}.")
    columns = []
    for one, other in zip(left.columns, right.columns, strict=True):
        kind = common(one.type, other.type)
        if kind is None:
            raise only_in_spark(f"{one.type} beside {other.type}")
        columns.append(Column(one.name, kind, scope.context.key()))
    sides = []
    for side in (left, right):
        pairs = zip(side.columns, columns, strict=True)
        distinct = bool(node.args.get("distinct")) or not isinstance(node, exp.Union)
        listed = ", ".join(
            f"{_unsigned(str(cast(old.key, old.type, new.type)), new.type, distinct)} AS {new.key}"
            for old, new in pairs
        )
        sides.append(f"SELECT {listed} FROM ({side.sql})")
    word = _SETS[type(node)] + ("" if node.args.get("distinct") else " ALL")
    both = Relation(f"({sides[0]}) {word} ({sides[1]})", tuple(columns))
    return _arranged(node, both, scope)


def _arranged(node: exp.Expr, relation: Relation, scope: Scope) -> Relation:
    """ORDER BY, LIMIT and OFFSET over a relation's own columns."""
    columns = list(relation.columns)
    inner = Scope(scope.context, scope.around, scope.queries, [Source((), columns)], columns)
    writer = Writer(inner)
    order = _order_by(node, writer, [Value(column.key, column.type) for column in columns])
    clauses = "".join([_sorted([(value.sql, how) for value, how in order]), _limits(node, writer)])
    return replace(relation, sql=f"SELECT * FROM ({relation.sql}){clauses}") if clauses else relation


def _order_by(node: exp.Expr, writer: Writer, outputs: Sequence[Value]) -> list[tuple[Value, str]]:
    """The values to sort by, and how."""
    order = node.args.get("order")
    found = []
    for part in order.expressions if order else ():
        _only(part, {"this", "desc", "nulls_first"})
        nulls = "FIRST" if part.args.get("nulls_first") else "LAST"
        how = f"{'DESC' if part.args.get('desc') else 'ASC'} NULLS {nulls}"
        key = part.this
        if isinstance(key, exp.Var) and key.name.upper() == "ALL":
            found += [(output, how) for output in outputs]
        elif isinstance(key, exp.Literal) and not key.is_string:
            found.append((_at(key, outputs), how))
        else:
            found.append((writer.write(key), how))
    for value, _ in found:
        if value.type.nested:
            raise only_in_spark(f"ORDER BY {value.type}")
    return found


def _at(key: exp.Literal, outputs: Sequence[Value]) -> Value:
    if not key.name.isdigit() or not 1 <= int(key.name) <= len(outputs):
        raise SqlError(f"SQL: there is no column {key.name} in the SELECT.")
    return outputs[int(key.name) - 1]


def _sorted(keys: Sequence[tuple[str, str]]) -> str:
    return f" ORDER BY {', '.join(f'{key} {how}' for key, how in keys)}" if keys else ""


def _limits(node: exp.Expr, writer: Writer) -> str:
    clauses = ""
    for key in ("limit", "offset"):
        clause = node.args.get(key)
        if clause is None:
            continue
        _only(clause, {"expression"})
        value = Writer(Scope(writer.scope.context)).write(clause.expression)
        if not value.type.integral:
            raise SqlError(f"SQL: {key.upper()} takes a whole number.")
        clauses += f" {key.upper()} {value.sql}"
    return clauses


class _Select:
    """One SELECT."""

    def __init__(self, node: exp.Select, scope: Scope) -> None:
        _only(node, _SELECT | _AROUND)
        self._node = node
        self._scope = scope
        self._from = from_clause(node, scope, _query)
        self._writer = Writer(scope)
        self._where = ""

    def relation(self) -> Relation:
        node, context, writer = self._node, self._scope.context, self._writer
        if where := node.args.get("where"):
            self._where = f" WHERE {writer.condition(where.this)}"
        items = self._items()
        keys = self._group(items)
        outputs: list[tuple[str, Value]] = []
        for name, item in items:
            value = writer.write(item) if isinstance(item, exp.Expr) else item
            outputs.append((name, value))
            writer.aliases.setdefault(name.lower(), value)
        columns = tuple(Column(name, value.type, context.key()) for name, value in outputs)
        having = ""
        if clause := node.args.get("having"):
            if not writer.grouped:
                raise SqlError("SQL: HAVING needs GROUP BY or an aggregate.")
            having = f" HAVING {writer.condition(clause.this)}"
        qualify = self._qualify()
        writer.aliases_first = True
        order = _order_by(node, writer, [value for _, value in outputs])
        distinct = node.args.get("distinct")
        if distinct:
            _only(distinct, set())
        known = {value.sql: column.key for column, (_, value) in zip(columns, outputs, strict=True)}
        hidden: list[tuple[str, str]] = []
        sort = []
        for value, how in order:
            if value.sql not in known:
                if distinct:
                    raise only_in_spark("SELECT DISTINCT ordered by another column")
                known[value.sql] = context.key()
                hidden.append((value.sql, known[value.sql]))
            sort.append((known[value.sql], how))
        if qualify:
            hidden.append((qualify, context.key()))
        chosen = [
            (_unsigned(_typed(value), value.type, bool(distinct)), column.key)
            for column, (_, value) in zip(columns, outputs, strict=True)
        ]
        listed = ", ".join(f"{sql} AS {key}" for sql, key in chosen + hidden)
        grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
        sql = f"SELECT {'DISTINCT ' if distinct else ''}{listed}{self._from}{self._where}{grouped}{having}"
        after = _sorted(sort) + _limits(node, writer)
        if hidden or after:
            kept = ", ".join(column.key for column in columns)
            only = f" WHERE {hidden[-1][1]}" if qualify else ""
            sql = f"SELECT {kept} FROM ({sql}){only}{after}"
        return Relation(sql, columns)

    def _qualify(self) -> str:
        clause = self._node.args.get("qualify")
        return self._writer.condition(clause.this) if clause else ""

    def _items(self) -> list[tuple[str, exp.Expr | Value]]:
        """The selected columns, with stars expanded; the result of explode is a column of FROM."""
        items: list[tuple[str, exp.Expr | Value]] = []
        generated = False
        for item in self._node.expressions:
            plain = item.this if isinstance(item, exp.Alias | exp.Aliases) else item
            if isinstance(plain, exp.Star):
                items += self._star(plain, self._scope.visible)
            elif isinstance(plain, exp.Column) and isinstance(plain.this, exp.Star):
                qualifiers = [part.name for part in plain.parts[:-1]]
                sources = [source for source in self._scope.sources if source.called(qualifiers)]
                if len(sources) != 1:
                    raise only_in_spark(plain.sql("databricks"))
                items += self._star(plain.this, sources[0].columns)
            elif (kind := generator_of(plain)) is not None:
                if generated or self._node.args.get("group"):
                    raise only_in_spark(f"{kind[0]} in this place")
                generated = True
                names = [item.alias] if isinstance(item, exp.Alias) else []
                if isinstance(item, exp.Aliases):
                    names = [each.name for each in item.expressions]
                source = f"{self._from}{self._where}"
                self._from, made = generate(self._writer, plain, names, source, outer=False)
                self._where = ""
                items += [(column.name, Value(column.key, column.type)) for column in made]
            else:
                items.append((column_name(item), plain))
        return items

    def _star(self, star: exp.Star, columns: Sequence[Column]) -> list[tuple[str, exp.Expr | Value]]:
        _only(star, {"except_"})
        left_out = {column.name.lower() for column in star.args.get("except_") or ()}
        if missing := left_out - {column.name.lower() for column in columns}:
            raise SqlError(f"SQL: EXCEPT names no column '{sorted(missing)[0]}'.")
        kept = [column for column in columns if column.name.lower() not in left_out]
        if not kept:
            raise only_in_spark("a star without columns")
        if self._node.args.get("group"):
            return [(column.name, exp.column(column.name, quoted=True)) for column in kept]
        return [(column.name, Value(column.key, column.type)) for column in kept]

    def _group(self, items: Sequence[tuple[str, exp.Expr | Value]]) -> list[str]:
        """The keys of the groups, as columns of FROM; afterwards expressions are over groups."""
        clause, writer = self._node.args.get("group"), self._writer
        nodes = [item for _, item in items if isinstance(item, exp.Expr)]
        ordered = self._node.args.get("order")
        others = [part.args.get("this") for part in (ordered.expressions if ordered else ())]
        having = self._node.args.get("having")
        if clause is None:
            if not having and not any(aggregates(node) for node in [*nodes, *others]):
                return []
            if len(nodes) != len(items):
                raise SqlError("SQL: a star beside an aggregate needs GROUP BY.")
            writer.group_by([])
            return []
        _only(clause, {"expressions", "all"})
        if clause.args.get("all"):
            given: list[exp.Expr] = [node for node in nodes if not aggregates(node)]
        else:
            by_name: dict[str, list[exp.Expr]] = {}
            for name, item in items:
                if isinstance(item, exp.Expr):
                    by_name.setdefault(name.lower(), []).append(item)
            given = [self._key_node(node, nodes, by_name) for node in clause.expressions]
        values = []
        for node in given:
            if aggregates(node):
                raise SqlError("SQL: GROUP BY takes no aggregate.")
            value = writer.write(node)
            if value.type.nested:
                raise only_in_spark(f"GROUP BY {value.type}")
            values.append(value)
        made = {value.sql: self._scope.context.key() for value in values}
        if made:
            unique = {
                value.sql: f"{_unsigned(_typed(value), value.type, True)} AS {made[value.sql]}"
                for value in values
            }
            base = f"{self._from}{self._where}" or " FROM (SELECT 1)"
            self._from = f" FROM (SELECT *, {', '.join(unique.values())}{base})"
            self._where = ""
        writer.grouped = True
        writer.groups = {value.sql: replace(value, sql=made[value.sql], literal=None) for value in values}
        return list(made.values())

    def _key_node(
        self, node: exp.Expr, nodes: Sequence[exp.Expr], by_name: dict[str, list[exp.Expr]]
    ) -> exp.Expr:
        if isinstance(node, exp.Literal) and not node.is_string:
            if not node.name.isdigit() or not 1 <= int(node.name) <= len(nodes):
                raise SqlError(f"SQL: there is no column {node.name} in the SELECT.")
            return nodes[int(node.name) - 1]
        if isinstance(node, exp.Column) and len(node.parts) == 1:
            here = [column for column in self._scope.visible if column.name.lower() == node.name.lower()]
            named = by_name.get(node.name.lower(), [])
            if not here and len(named) == 1:
                return named[0]
        if isinstance(node, exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple):
            raise only_in_spark(f"GROUP BY {node.key.upper()}")
        return node


def _unsigned(sql: str, kind: Type, distinct: bool) -> str:
    """-0.0 as 0.0, as in Spark if equal values become one."""
    if not distinct:
        return sql
    if (kind.nested and (kind.holds("double") or kind.holds("float"))) or kind.holds("map"):
        raise only_in_spark(f"distinct values of {kind}")
    return f"(CASE WHEN {sql} = 0 THEN 0 ELSE {sql} END)" if kind.name in ("float", "double") else sql


def _typed(value: Value) -> str:
    """A column that is NULL has a type in DuckDB."""
    return "CAST(NULL AS INTEGER)" if value.type == VOID else value.sql

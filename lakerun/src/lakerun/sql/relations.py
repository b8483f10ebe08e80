"""FROM: tables, subqueries, VALUES, joins, and the rows of explode: `from_clause`, `generate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlglot import exp

from lakerun.sql.errors import SqlError, only_in_spark
from lakerun.sql.expressions import Writer
from lakerun.sql.scopes import Column, Relation, Scope, Source
from lakerun.sql.types import INT, VOID, Type
from lakerun.sql.values import Value

Query = Callable[[exp.Expr, Scope], Relation]
_GENERATORS = {
    "explode": (False, False),
    "explode_outer": (False, True),
    "posexplode": (True, False),
    "posexplode_outer": (True, True),
}
_JOINS = {
    ("", ""): "JOIN",
    ("", "INNER"): "JOIN",
    ("LEFT", ""): "LEFT JOIN",
    ("LEFT", "OUTER"): "LEFT JOIN",
    ("RIGHT", ""): "RIGHT JOIN",
    ("RIGHT", "OUTER"): "RIGHT JOIN",
    ("FULL", ""): "FULL JOIN",
    ("FULL", "OUTER"): "FULL JOIN",
    ("LEFT", "SEMI"): "SEMI JOIN",
    ("", "SEMI"): "SEMI JOIN",
    ("LEFT", "ANTI"): "ANTI JOIN",
    ("", "ANTI"): "ANTI JOIN",
    ("", "CROSS"): "CROSS JOIN",
}


def from_clause(node: exp.Select, scope: Scope, query: Query) -> str:
    """` FROM ...` of a SELECT, empty without one. The scope gets its columns."""
    clause = node.args.get("from_")
    if clause is None:
        return ""
    joins = list(node.args.get("joins") or ())
    laterals = list(node.args.get("laterals") or ())
    sql = _add(clause.this, scope, query, joins, laterals)
    for join in joins:
        sql = _joined(sql, join, scope, query)
    sql = f" FROM {sql}"
    for lateral in laterals:
        sql = _lateral(sql, lateral, scope)
    return sql


def _add(node: exp.Expr, scope: Scope, query: Query, joins: list[exp.Expr], laterals: list[exp.Expr]) -> str:
    """Add a source, and to the lists the joins that sqlglot attaches to it."""
    sql, source = _source(node, scope, query)
    joins[:0] = node.args.get("joins") or ()
    laterals[:0] = node.args.get("laterals") or ()
    if source.name and any(source.name[-1:] == other.name[-1:] for other in scope.sources):
        raise only_in_spark(f"the name {source.name[-1]} for two tables")
    scope.sources.append(source)
    scope.visible += source.columns
    return f"{sql} AS {scope.context.key('r')}"


def _source(node: exp.Expr, scope: Scope, query: Query) -> tuple[str, Source]:
    alias = node.args.get("alias")
    names = [column.name for column in alias.columns] if alias else []
    if isinstance(node, exp.Table):
        sql, source = scope.table(node)
    else:
        inner = Scope(scope.context, queries=scope.queries)
        if isinstance(node, exp.Values):
            relation = _values(node, inner)
        elif isinstance(node, exp.Subquery):
            relation = query(node if _around(node) else node.this, inner)
        else:
            raise only_in_spark(f"{node.key.upper()} in FROM")
        sql, source = f"({relation.sql})", Source((), list(relation.columns))
    if names:
        if len(names) != len(source.columns):
            raise SqlError(f"SQL: {len(names)} names for {len(source.columns)} columns.")
        pairs = zip(source.columns, names, strict=True)
        source.columns = [replace(column, name=name) for column, name in pairs]
    if node.alias:
        source.name = (node.alias.lower(),)
    return sql, source


def _around(node: exp.Expr) -> bool:
    return any(node.args.get(key) for key in ("with_", "order", "limit", "offset", "sample", "pivots"))


def _values(node: exp.Values, scope: Scope) -> Relation:
    writer = Writer(scope)
    rows = [
        [writer.write(item) for item in (row.expressions if isinstance(row, exp.Tuple) else [row])]
        for row in node.expressions
    ]
    if len({len(row) for row in rows}) != 1:
        raise SqlError("SQL: the rows of VALUES have different lengths.")
    columns, texts = [], []
    for number, values in enumerate(zip(*rows, strict=True), 1):
        written, kind = writer.texts(values)
        texts.append(["CAST(NULL AS INTEGER)" if kind == VOID else one for one in written])
        columns.append(Column(f"col{number}", kind, scope.context.key()))
    keys = ", ".join(column.key for column in columns)
    listed = ", ".join(f"({', '.join(row)})" for row in zip(*texts, strict=True))
    return Relation(f"SELECT {keys} FROM (VALUES {listed}) AS v({keys})", tuple(columns))


def _joined(sql: str, join: exp.Join, scope: Scope, query: Query) -> str:
    if unknown := {key for key, value in join.args.items() if value} - {
        "this", "on", "using", "side", "kind", "method"
    }:  # fmt: skip
        raise only_in_spark(f"a join with {', '.join(sorted(unknown))}")
    method = (join.method or "").upper()
    word = _JOINS.get((join.side.upper(), join.kind.upper()))
    if word is None or method not in ("", "NATURAL"):
        raise only_in_spark(join.sql("databricks").split("(")[0])
    before, sources = list(scope.visible), len(scope.sources)
    extra: list[exp.Expr] = []
    right = _add(join.this, scope, query, extra, extra)
    if extra:
        raise only_in_spark("a join within a join")
    added = scope.sources[sources].columns
    using = [part.name for part in join.args.get("using") or ()]
    if method == "NATURAL":
        names = {column.name.lower() for column in added}
        using = [column.name for column in before if column.name.lower() in names]
    on = join.args.get("on")
    if using:
        condition = _using(using, before, added, scope, word)
    elif on is not None:
        condition = f" ON {Writer(scope).condition(on)}"
    else:
        if word not in ("JOIN", "CROSS JOIN"):
            raise only_in_spark(f"{word} without a condition")
        word, condition = "CROSS JOIN", ""
    if word in ("SEMI JOIN", "ANTI JOIN"):
        del scope.sources[sources:]
        scope.visible = before
    return f"{sql} {word} {right}{condition}"


def _using(
    names: Sequence[str], left: Sequence[Column], right: Sequence[Column], scope: Scope, word: str
) -> str:
    """The condition; columns with the same name are visible once, before the others."""
    writer = Writer(scope)
    conditions, merged, gone = [], [], set()
    for name in names:
        sides = []
        for columns in (left, right):
            found = [column for column in columns if column.name.lower() == name.lower()]
            if len(found) != 1:
                raise SqlError(f"SQL: USING needs one column '{name}' on each side.")
            sides.append(found[0])
        values = [Value(side.key, side.type) for side in sides]
        conditions.append(" = ".join(writer.compared(*values)))
        gone |= {side.key for side in sides}
        kept = sides[1] if word == "RIGHT JOIN" else sides[0]
        if word == "FULL JOIN":
            texts, kind = writer.texts(values)
            kept = Column(sides[0].name, kind, f"coalesce({', '.join(texts)})")
        merged.append(kept)
    scope.visible = merged + [column for column in scope.visible if column.key not in gone]
    return f" ON {' AND '.join(conditions)}"


def _lateral(sql: str, lateral: exp.Lateral, scope: Scope) -> str:
    if not lateral.args.get("view"):
        raise only_in_spark("LATERAL")
    alias = lateral.args.get("alias")
    names = [column.name for column in alias.columns] if alias else []
    writer = Writer(scope)
    made_sql, made = generate(writer, lateral.this, names, sql, outer=bool(lateral.args.get("outer")))
    scope.sources.append(Source((alias.name.lower(),) if alias and alias.name else (), made))
    scope.visible += made
    return made_sql


def generator_of(node: exp.Expr) -> tuple[str, bool, bool] | None:
    """The generator's name, whether it counts positions and keeps rows without values; None for others."""
    name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
    return (name, *_GENERATORS[name]) if name in _GENERATORS else None


def generate(
    writer: Writer, node: exp.Expr, names: Sequence[str], source: str, *, outer: bool
) -> tuple[str, list[Column]]:
    """` FROM` a source with a row for each value of a list or map, and the new columns."""
    kind = generator_of(node)
    if kind is None or len(node.expressions) != 1:
        raise only_in_spark(node.sql("databricks"))
    _, counted, keeps = kind
    outer = outer or keeps
    value = writer.write(node.expressions[0])
    context = writer.scope.context
    if value.type.name not in ("array", "map"):
        raise only_in_spark(f"{kind[0]} of {value.type}")
    entries = value.sql if value.type.name == "array" else f"map_entries({value.sql})"
    inner = context.key()
    listed = [f"unnest({f'spark_or_one_null({entries})' if outer else entries}) AS {inner}"]
    columns: list[tuple[str, Type, str]] = []
    if counted:
        places = f"range(len({entries}))"
        at = f"unnest({f'spark_or_one_null({places})' if outer else places})"
        listed.insert(0, f"CAST({at} AS INTEGER) AS {context.key()}")
        columns.append(("pos", INT, listed[0].rpartition(" ")[2]))
    if value.type.name == "array":
        columns.append(("col", value.type.items[0], inner))
    else:
        for name, item in zip(("key", "value"), value.type.items, strict=True):
            columns.append((name, item, f"struct_extract({inner}, '{name}')"))
    if names and len(names) != len(columns):
        raise SqlError(f"SQL: {kind[0]} has {len(columns)} columns, not {len(names)}.")
    given = names or [name for name, _, _ in columns]
    made = [Column(name, kind_, key) for name, (_, kind_, key) in zip(given, columns, strict=True)]
    base = source or " FROM (SELECT 1)"
    return f" FROM (SELECT *, {', '.join(listed)}{base})", made

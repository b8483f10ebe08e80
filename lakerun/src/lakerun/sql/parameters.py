"""Values for the named parameters of a statement, `:name`, as in the statement API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakerun.errors import closest_first
from lakerun.sql.dialect import DIALECT
from lakerun.sql.errors import UNBOUND_PARAMETER, SqlError


@dataclass(frozen=True)
class Parameter:
    """A value as text, None for NULL, of a Databricks SQL type that is not nested."""

    name: str
    value: str | None
    type: str = "STRING"


def bind(tree: exp.Expr, parameters: Iterable[Parameter]) -> exp.Expr:
    """The statement with its values, each cast to its type. A value is never read as SQL.

    `IDENTIFIER(:name)` names a table. Raises SqlError for a parameter without a value or of an
    unknown type.
    """
    given = {parameter.name: parameter for parameter in parameters}
    values = {name: _literal(parameter) for name, parameter in given.items()}
    _bind_identifiers(tree, given)

    def value(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Placeholder):
            return node
        if not node.name:
            raise SqlError("Parameters without a name ('?') are not supported; use ':name'.")
        if node.name not in values:
            raise _unbound(node.name, given)
        return values[node.name].copy()

    return tree.transform(value)


def _bind_identifiers(tree: exp.Expr, given: dict[str, Parameter]) -> None:
    for node in list(tree.find_all(exp.Anonymous)):
        table = node.parent
        if node.name.lower() != "identifier" or not isinstance(table, exp.Table):
            continue
        argument = node.expressions[0] if node.expressions else None
        if isinstance(argument, exp.Placeholder):
            if argument.name not in given:
                raise _unbound(argument.name, given)
            name = given[argument.name].value or ""
        elif isinstance(argument, exp.Literal) and argument.is_string:
            name = argument.name
        else:
            raise SqlError("IDENTIFIER needs a parameter or a string here.")
        try:
            named = exp.to_table(name, dialect=DIALECT)
        except SqlglotError:
            raise SqlError(f"IDENTIFIER: '{name}' is not a valid table name.") from None
        for part in ("this", "db", "catalog"):
            table.set(part, named.args.get(part))


def _literal(parameter: Parameter) -> exp.Expr:
    try:
        kind = exp.DataType.build(parameter.type or "STRING", dialect=DIALECT, udt=False)
    except (SqlglotError, ValueError):
        raise SqlError(f"Parameter '{parameter.name}': '{parameter.type}' is not an SQL type.") from None
    if kind.this in exp.DataType.NESTED_TYPES:
        raise SqlError(f"Parameter '{parameter.name}': the type {parameter.type} is not supported.")
    text = exp.null() if parameter.value is None else exp.Literal.string(parameter.value)
    return exp.cast(text, kind)


def _unbound(name: str, given: dict[str, Parameter]) -> SqlError:
    known = closest_first(name, sorted(given))
    hint = f" Given: {', '.join(known)}." if known else ""
    return SqlError(f"The parameter ':{name}' has no value: add it to 'parameters'.{hint}", UNBOUND_PARAMETER)

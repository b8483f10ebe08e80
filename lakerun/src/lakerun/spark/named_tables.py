"""Where a statement names tables, by sqlglot's parser of Databricks SQL: `named_tables`."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakerun.tables.storage import name_parts

if TYPE_CHECKING:
    from sqlglot import exp

# Statements that this parser knows as Spark's does; it guesses at OPTIMIZE, VACUUM, ALTER and the like.
_PARSED = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*"
    r"(?:SELECT|WITH|FROM|INSERT|UPDATE|DELETE|MERGE"
    r"|CREATE\s+(?:OR\s+REPLACE\s+)?(?:(?:GLOBAL\s+)?TEMP(?:ORARY)?\s+VIEW|TABLE))\b",
    re.IGNORECASE | re.DOTALL,
)
_TEMPORAL = re.compile(r"\s*(?:FOR|VERSION|TIMESTAMP|TABLESAMPLE|PIVOT|UNPIVOT|@)", re.IGNORECASE)


@dataclass(frozen=True)
class NamedTable:
    """A name in a statement's text, from `start` to `end`.

    `needs_alias`: it has no alias, and Spark allows one after it.
    """

    name: str
    start: int
    end: int
    needs_alias: bool


def named_tables(statement: str) -> list[NamedTable] | None:
    """The places of all tables' names, first to last; None if the parser does not understand the statement.

    What WITH defines is not a table, and neither is the name that CREATE gives.
    """
    if not _PARSED.match(statement):
        return None
    import sqlglot
    from sqlglot import exp

    from lakerun.tables.sql_names import stored_tables

    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns on the console
    try:
        tree = sqlglot.parse_one(statement, read="databricks")
    except sqlglot.errors.SqlglotError:
        return None
    known = (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create)
    if not isinstance(tree, known) or tree.find(exp.Command):
        return None
    created = tree.find(exp.Table) if isinstance(tree, exp.Create) else None
    found = []
    for node in stored_tables(tree):
        if node is created or not isinstance(node.this, exp.Identifier) or node.find_ancestor(exp.Hint):
            continue
        place = _place(node, statement)
        if place is None:
            return None
        found.append(place)
    return sorted(found, key=lambda place: place.start)


def _place(node: exp.Table, statement: str) -> NamedTable | None:
    """The name's place; None if the parser did not keep it."""
    from sqlglot import exp

    if any("end" not in part.meta for part in node.parts):
        return None
    places: list[tuple[int, int]] = [(part.meta["start"], part.meta["end"] + 1) for part in node.parts]
    name = ".".join(statement[start:end] for start, end in places)
    if name_parts(name) != [part.name for part in node.parts]:
        return None
    start, end = places[0][0], places[-1][1]
    aliased = (exp.From, exp.Join, exp.Subquery, exp.Update, exp.Delete, exp.Merge)
    has_none = isinstance(node.parent, aliased) and not node.alias
    return NamedTable(name, start, end, has_none and not _TEMPORAL.match(statement, end))

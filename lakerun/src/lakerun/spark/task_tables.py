"""Lets a task's code name the lakehouse's tables as on Databricks: `lakehouse_tables`.

Locally a table is a Delta directory that Spark's catalog does not know. In a task `spark.table`,
`spark.read.table` and `spark.sql` find it by its three-part name, and `SHOW TABLES IN` lists a schema's
tables. A plugin's union is found in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from lakerun.patches import STATEMENTS, patched
from lakerun.spark.reads import reading_through
from lakerun.spark.volumes import volume_statement, with_volume_paths
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage, TableName, name_parts, quoted
from lakerun.tables.unions import FoundUnion, find_union, union_names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SHOW_TABLES = re.compile(
    r"\s*SHOW\s+TABLES\s+(?:IN|FROM)\s+`?([\w-]+)`?\.`?([\w-]+)`?\s*;?\s*", re.IGNORECASE
)

_PART = r"(?:`[\w-]+`|[^\W\d]\w*+)"
DESCRIBE = re.compile(
    rf"\s*DESC(?:RIBE)?\s+(?:TABLE\s+)?(?:EXTENDED\s+)?({_PART}\.{_PART}\.{_PART})\s*;?\s*", re.IGNORECASE
)
# A name of three parts; or texts and comments, which are skipped because they may contain a similar text.
NAME_OR_OTHER = re.compile(
    rf"""(?<![\w.`])(?P<name>{_PART}\.{_PART}\.{_PART})(?![\w.`(])"""
    r"""|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|--[^\n]*|/\*.*?\*/""",
    re.DOTALL,
)

_storage: ContextVar[Storage | None] = ContextVar("lakehouse_storage", default=None)


@contextmanager
def lakehouse_tables(storage: Storage) -> Iterator[None]:
    """In this context, the thread's code finds the tables of `storage` by their names."""
    with patched({STATEMENTS: _hooked}), reading_through(_Tables(storage)):
        token = _storage.set(storage)
        try:
            yield
        finally:
            _storage.reset(token)


class _Tables:
    """Answers reads by name; other tables are left to Spark."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def table(self, name: str, reader: Any, *, streaming: bool) -> DataFrame:
        from lakerun.spark.reads import reading_directly

        parts = name_parts(name)
        found = TableName(*parts) if len(parts) == 3 else None
        with reading_directly():
            if found and Table.named(self._storage, found).exists:
                rows: DataFrame = reader.format("delta").load(str(self._storage.table_path(found)))
            elif found and (union := find_union(self._storage, name)):
                rows = reader._spark.sql(union.sql_on_paths(self._storage)).alias(union.name.table)
            else:
                rows = reader.table(name)
        return rows

    def files(self, path: str) -> str:
        return path

    def other_source(self) -> None:
        """A task's code may stream any source."""


def with_paths(statement: str, storage: Storage) -> str:
    """The statement with paths instead of the lakehouse's three-part names; the rest is unchanged.

    It is not parsed for that: only Spark's parser knows OPTIMIZE, VACUUM and the like.
    """

    def place(found: re.Match[str]) -> str:
        if found["name"] is None:
            return found[0]
        name = TableName(*name_parts(found["name"]))
        path = storage.table_path(name)
        if Table(path).exists:
            return f"delta.{quoted(str(path))}"
        union = find_union(storage, str(name))
        if union is None:
            return found[0]
        # In its own brackets, so that the statement can still give it another alias.
        return f"(({union.sql_on_paths(storage)}) AS {quoted(union.name.table)})"

    return NAME_OR_OTHER.sub(place, statement)


def _union(storage: Storage, name: str) -> FoundUnion | None:
    """The union with this name, unless it is a table's."""
    stored = Table.named(storage, TableName(*name_parts(name)))
    return None if stored.exists else find_union(storage, name)


def _hooked(original: Callable[..., Any]) -> Any:
    def sql(self: Any, sqlQuery: str, args: Any = None, **kwargs: Any) -> Any:  # noqa: N803
        storage = _storage.get()
        if storage is None or not isinstance(sqlQuery, str):
            return original(self, sqlQuery, args, **kwargs)
        if volume_statement(sqlQuery, storage):
            return self.range(0).select()
        sqlQuery = with_volume_paths(sqlQuery)  # noqa: N806
        if found := SHOW_TABLES.fullmatch(sqlQuery):
            names = sorted([*storage.tables(), *union_names(storage)], key=str)
            rows = [(n.schema, n.table, False) for n in names if (n.catalog, n.schema) == found.groups()]
            return self.createDataFrame(rows, "database string, tableName string, isTemporary boolean")
        if (found := DESCRIBE.fullmatch(sqlQuery)) and (union := _union(storage, found[1])):
            return original(self, f"DESCRIBE QUERY {union.sql_on_paths(storage)}")
        return original(self, with_paths(sqlQuery, storage), args, **kwargs)

    return sql

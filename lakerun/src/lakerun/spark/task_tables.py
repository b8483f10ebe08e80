"""Lets a task's code name the lakehouse's tables as on Databricks: `lakehouse_tables`.

Locally a table is a Delta directory that Spark's catalog does not know. In a task `spark.table`,
`spark.read.table`, `spark.sql`, `spark.catalog` and `saveAsTable` find it by its name. A plugin's union is
found in the same way, by its full name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lakerun.errors import closest_first
from lakerun.patches import CONNECT_STATEMENTS, STATEMENTS, patched
from lakerun.spark.active_session import is_connect_mode
from lakerun.spark.names import PART, TaskTables, prepared
from lakerun.spark.reads import reading_through
from lakerun.spark.statements import NOTHING, carried_out
from lakerun.spark.task_catalog import catalog_hooks, current_tables
from lakerun.spark.volumes import with_volume_paths
from lakerun.tables.storage import Storage, name_parts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DESCRIBE = re.compile(
    rf"\s*DESC(?:RIBE)?\s+(?:TABLE\s+)?(?:EXTENDED\s+)?({PART}\.{PART}\.{PART})\s*;?\s*", re.IGNORECASE
)
_NAMED = re.compile(r"^\[REQUIRES_SINGLE_PART_NAMESPACE\].* identifier (`.+`)\. ")


@contextmanager
def lakehouse_tables(storage: Storage) -> Iterator[None]:
    """In this context, the thread's code finds the tables of `storage` by their names."""
    tables = TaskTables(storage)
    statements = CONNECT_STATEMENTS if is_connect_mode() else STATEMENTS
    with patched({statements: _hooked, **catalog_hooks()}), reading_through(_Tables(tables)):
        token = current_tables.set(tables)
        try:
            yield
        finally:
            current_tables.reset(token)


class _Tables:
    """Answers reads by name; other tables are left to Spark."""

    def __init__(self, tables: TaskTables) -> None:
        self._tables = tables

    def table(self, name: str, reader: Any, *, streaming: bool) -> DataFrame:
        from pyspark.sql import SparkSession

        from lakerun.spark.reads import reading_directly

        tables = self._tables
        with reading_directly():
            session = SparkSession.active() if is_connect_mode() else reader._spark
            found = tables.stored(name)
            if found and not is_view(session, name):
                rows: DataFrame = reader.format("delta").load(tables.path(found)).alias(found.table)
            elif union := tables.union(name):
                rows = session.sql(union.sql_on_paths(tables.storage)).alias(union.name.table)
            else:
                with _unknown_tables(tables):
                    rows = reader.table(name)
        return rows

    def files(self, path: str, option: Callable[[str], str]) -> str:
        return path

    def other_source(self) -> None:
        """A task's code may stream any source."""


@contextmanager
def _unknown_tables(tables: TaskTables) -> Iterator[None]:
    """In this context, an unknown name of three parts gives the error that it gives on Databricks."""
    from pyspark.errors import AnalysisException

    try:
        yield
    except AnalysisException as error:
        found = _NAMED.search(str(error))
        if found is None:
            raise
        names = [str(name) for name in tables.storage.tables()]
        closest = closest_first(".".join(name_parts(found[1])), names)[:3]
        hint = f" There are: {', '.join(closest)}." if closest else ""
        raise AnalysisException(
            f"[TABLE_OR_VIEW_NOT_FOUND] The table or view {found[1]} cannot be found.{hint} SQLSTATE: 42P01"
        ) from None


def is_view(session: Any, name: str) -> bool:
    """Whether Spark knows the name, which is a temporary view then."""
    if "." in name:
        return False
    if not is_connect_mode():
        return bool(session._jsparkSession.catalog().tableExists(name))
    token = current_tables.set(None)
    try:
        return bool(session.catalog.tableExists(name))
    finally:
        current_tables.reset(token)


def _hooked(original: Callable[..., Any]) -> Any:
    def sql(self: Any, sqlQuery: str, args: Any = None, **kwargs: Any) -> Any:  # noqa: N803
        tables = current_tables.get()
        if tables is None or not isinstance(sqlQuery, str):
            return original(self, sqlQuery, args, **kwargs)
        statement = with_volume_paths(sqlQuery)
        if (answer := carried_out(statement, tables)) is not None:
            return self.range(0).select() if answer is NOTHING else self.createDataFrame(*answer)
        described = DESCRIBE.fullmatch(statement)
        if described and tables.stored(described[1]) is None and (union := tables.union(described[1])):
            return original(self, f"DESCRIBE QUERY {union.sql_on_paths(tables.storage)}")
        statement = prepared(statement, tables, lambda name: is_view(self, name))
        with _unknown_tables(tables):
            return original(self, statement, args, **kwargs)

    return sql

"""Queries in local Spark, for statements that `query` cannot answer: `query_in_spark`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from lakerun.errors import UnknownNameError, first_line
from lakerun.sql.databricks_sql import parse_statement, table_name
from lakerun.sql.errors import SqlError
from lakerun.tables.sql_names import stored_tables
from lakerun.tables.storage import Storage, TableName, quoted
from lakerun.tables.unions import find_union

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


def query_in_spark(
    sql: str,
    storage: Storage,
    spark: SparkSession,
    *,
    catalog: str | None = None,
    schema: str | None = None,
    limit: int | None = None,
) -> pa.Table:
    """The rows of one reading statement, computed by Spark; tables are named as in `query`.

    Raises SqlError in one line for Spark's errors, UnknownNameError for a table that does not exist.
    """
    from pyspark.errors import PySparkException

    text = sql.strip().rstrip(";")
    tree = parse_statement(text)
    if not isinstance(tree, exp.Query):
        raise SqlError("Only queries can run in Spark here: SELECT or WITH.")
    views: dict[TableName, str] = {}
    text = _with_views(text, tree, storage, spark, (catalog, schema), views)
    try:
        rows = spark.sql(text)
        return (rows if limit is None else rows.limit(limit)).toArrow()
    except PySparkException as error:
        raise SqlError(f"SQL: {first_line(error)}") from None
    finally:
        for view in views.values():
            spark.catalog.dropTempView(view)


def _with_views(
    sql: str,
    tree: exp.Expr,
    storage: Storage,
    spark: SparkSession,
    default: tuple[str | None, str | None],
    views: dict[TableName, str],
) -> str:
    """The statement as written, except for the names of tables, which become temporary views."""
    spans: list[tuple[int, int, str]] = []
    for node in stored_tables(tree):
        if not isinstance(node.this, exp.Identifier):
            continue  # a table function
        name, rows = _rows(table_name(node), storage, spark, default)
        if name not in views:
            views[name] = name.table if name.table not in views.values() else f"{name.schema}_{name.table}"
            rows.createOrReplaceTempView(views[name])
        first, last = node.parts[0].meta, node.parts[-1].meta
        spans.append((first["start"], last["end"] + 1, views[name]))
    for start, end, view in sorted(spans, reverse=True):
        sql = f"{sql[:start]}{quoted(view)}{sql[end:]}"
    return sql


def _rows(
    name: str, storage: Storage, spark: SparkSession, default: tuple[str | None, str | None]
) -> tuple[TableName, DataFrame]:
    """The table or union with this name, and its rows."""
    try:
        table = storage.find_table(name, *default)
    except UnknownNameError:
        if (union := find_union(storage, name, *default)) is None:
            raise
        return union.name, spark.sql(union.sql_on_paths(storage))
    return table, spark.read.format("delta").load(str(storage.table_path(table)))

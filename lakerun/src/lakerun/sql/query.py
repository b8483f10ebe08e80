"""Queries in Databricks SQL over the data folder, without Spark or a JVM: `query`.

deltalake reads each table (it honours deletion vectors), DuckDB computes. Statements can only read, and only
the lakehouse's own tables: DuckDB has no access to files or the network.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from lakerun.errors import LakerunError, UnknownNameError
from lakerun.sql.databricks_sql import parse_statement, position, table_name
from lakerun.sql.errors import (
    CAST_INVALID_INPUT,
    DIVIDE_BY_ZERO,
    DIVISION_BY_ZERO,
    Condition,
    OnlyInSparkError,
    SqlError,
    UnknownInSqlError,
    only_in_spark,
    spark_hint,
)
from lakerun.sql.macros import SPARK_ONLY, macros_in
from lakerun.sql.names import detailed, detailed_union, show
from lakerun.sql.parameters import Parameter, bind
from lakerun.sql.rows import Rows
from lakerun.sql.scopes import Stored
from lakerun.sql.statements import Translated, translated
from lakerun.sql.types import type_of
from lakerun.tables.delta_table import Column, Table, columns_of
from lakerun.tables.sql_names import stored_tables
from lakerun.tables.storage import Storage, TableName
from lakerun.tables.unions import FoundUnion, find_union

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def query(
    sql: str,
    storage: Storage,
    *,
    catalog: str | None = None,
    schema: str | None = None,
    limit: int | None = None,
    parameters: Iterable[Parameter] = (),
    interrupt: Interrupt | None = None,
) -> pa.Table:
    """The rows of one read-only statement in Databricks SQL, at most `limit`; instants are in UTC.

    Tables are named by one, two or three parts; `catalog` and `schema` decide if a short name exists more
    than once. `parameters` are the values of `:name` in the statement. Raises SqlError (with the
    position) or UnknownNameError, each in one line; InterruptedError after `interrupt`.
    """
    tree = bind(parse_statement(sql), parameters)
    default = (catalog, schema)
    if isinstance(tree, exp.Command):
        return _arrow(show(tree, storage))
    if isinstance(tree, exp.Describe):
        return _describe(tree, sql, storage, default)
    return _select(tree, sql, storage, default, limit, interrupt or Interrupt())


class Interrupt:
    """Stops a query from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self.set = False

    def stop(self) -> None:
        """End the running query, or the next one."""
        with self._lock:
            self.set = True
            if self._connection is not None:
                self._connection.interrupt()

    @contextmanager
    def watching(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """In this context the query runs on the connection; InterruptedError if it was stopped."""
        import duckdb

        with self._lock:
            self._connection = connection
        try:
            if self.set:
                raise InterruptedError("The statement was canceled.")
            yield
        except duckdb.InterruptException:
            raise InterruptedError("The statement was canceled.") from None
        finally:
            with self._lock:
                self._connection = None


@dataclass(frozen=True)
class _Reference:
    """A table that the statement reads: its node, its full name and its version."""

    node: exp.Table
    name: TableName
    version: int | str | None


def _select(
    tree: exp.Expr,
    sql: str,
    storage: Storage,
    default: tuple[str | None, str | None],
    limit: int | None,
    interrupt: Interrupt,
) -> pa.Table:
    _expand_unions(tree, storage, default)
    references = [_resolve(node, sql, storage, default) for node in stored_tables(tree)]
    names = _mentioned_names(tree)
    _session_values(tree, *default)
    tables = [Table.named(storage, reference.name, reference.version) for reference in references]
    pairs = list(zip(references, tables, strict=True))
    stored = {
        id(reference.node): _stored(number, reference, table, names)
        for number, (reference, table) in enumerate(pairs)
    }
    translation = translated(tree, sql, stored)
    import duckdb

    try:
        with _duckdb(translation.sql) as connection, interrupt.watching(connection):
            for reference, table in pairs:
                asked = stored[id(reference.node)]
                rows = Rows(partial(_scanned, table, [name for name, _ in asked.columns]))
                # A stream lets a query with a LIMIT stop early.
                connection.register(asked.registered, rows if len(references) == 1 else rows.whole())
            return _run(connection, translation, limit)
    except duckdb.Error as error:
        raise _explained(error) from None


def _stored(number: int, reference: _Reference, table: Table, names: set[str] | None) -> Stored:
    """The table's columns that the statement may use, with their types."""
    columns = table.columns
    read = [column for column in columns if names is None or column.name.lower() in names]
    name = reference.name
    return Stored(
        f"t{number}",
        (name.catalog.lower(), name.schema.lower(), name.table.lower()),
        tuple((column.name, type_of(column.type)) for column in read),
        tuple(column.name for column in columns),
    )


def _scanned(table: Table, columns: list[str]) -> pa.RecordBatchReader:
    """A table's rows, with instants in UTC without a zone, as DuckDB's functions with zones are slower."""
    import pyarrow as pa

    reader = pa.RecordBatchReader.from_stream(table.scan(columns))
    schema = pa.schema([field.with_type(_without_zone(field.type)) for field in reader.schema])
    if schema.equals(reader.schema):
        return reader
    return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in reader))


def _without_zone(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return pa.timestamp("us")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        field = kind.value_field
        inner = field.with_type(_without_zone(field.type))
        return pa.large_list(inner) if pa.types.is_large_list(kind) else pa.list_(inner)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_without_zone(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_without_zone(kind.key_type), _without_zone(kind.item_type))
    return kind


def _run(connection: duckdb.DuckDBPyConnection, translation: Translated, limit: int | None) -> pa.Table:
    import pyarrow as pa

    relation = connection.sql(translation.sql)
    if limit is None:
        return _typed(relation.to_arrow_table(), translation)
    reader = relation.to_arrow_reader(min(max(limit, 1), 100_000))
    batches, rows = [], 0
    while rows < limit:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            break
        batches.append(batch.slice(0, limit - rows))
        rows += batches[-1].num_rows
    return _typed(pa.Table.from_batches(batches, reader.schema), translation)


def _typed(table: pa.Table, translation: Translated) -> pa.Table:
    """The columns by their names and with Spark's types."""
    import pyarrow as pa

    fields = [
        pa.field(name, kind.arrow()) for name, kind in zip(translation.names, translation.types, strict=True)
    ]
    columns = [
        pa.nulls(table.num_rows) if pa.types.is_null(field.type) else column.cast(field.type)
        for column, field in zip(table.columns, fields, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


@contextmanager
def _duckdb(sql: str = "") -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for a statement, which sees only what is registered in it."""
    import duckdb

    connection = duckdb.connect(":memory:")
    try:
        for setting in (
            "TimeZone = 'UTC'",
            "python_enable_replacements = false",  # otherwise a name could access this process's variables
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "enable_external_access = false",
        ):
            connection.execute(f"SET {setting}")
        for macro in macros_in(sql):
            connection.execute(macro)
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def _expand_unions(tree: exp.Expr, storage: Storage, default: tuple[str | None, str | None]) -> None:
    """Replace each name of a union by the union's query; a table with the name takes precedence."""
    for node in stored_tables(tree):
        union = _union(node, storage, default)
        if union is None:
            continue
        if node.args.get("version"):
            raise SqlError(f"'{table_name(node)}' has no versions: AS OF is for a table.")
        subquery = exp.Subquery(this=parse_statement(union.sql()), alias=node.args.get("alias"))
        if not node.alias:
            subquery.set("alias", exp.TableAlias(this=node.this.copy()))
        for clause in ("joins", "laterals", "pivots", "sample"):
            if given := node.args.get(clause):
                subquery.set(clause, given)
        node.replace(subquery)


def _union(node: exp.Table, storage: Storage, default: tuple[str | None, str | None]) -> FoundUnion | None:
    """The union with this name; None if it is a table or a function, or unknown."""
    if not isinstance(node.this, exp.Identifier):
        return None
    try:
        storage.find_table(table_name(node), *default)
    except UnknownNameError:
        return find_union(storage, table_name(node), *default)
    return None


def _resolve(
    node: exp.Table, sql: str, storage: Storage, default: tuple[str | None, str | None]
) -> _Reference:
    function = node.this
    if not isinstance(function, exp.Identifier):
        name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
        hint = " Query the pipeline's event log table." if name.lower() == "event_log" else ""
        raise OnlyInSparkError(name, f"The table function '{name.lower()}' is not available here.{hint}")
    try:
        found = storage.find_table(table_name(node), *default)
    except UnknownNameError as error:
        where = position(sql, function)
        raise UnknownInSqlError(error, where) from None
    return _Reference(node, found, _version(node))


def _version(node: exp.Table) -> int | str | None:
    clause = node.args.get("version")
    if clause is None:
        return None
    value = clause.expression
    if not isinstance(value, exp.Literal):
        raise SqlError(f"AS OF needs a literal without Spark. {spark_hint()}")
    if clause.name.upper() == "VERSION":
        return int(value.name)
    try:
        at = datetime.fromisoformat(value.name)
    except ValueError:
        raise SqlError(f"'{value.name}' is not a time such as '2024-03-01 12:00:00'.") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def _session_values(tree: exp.Expr, catalog: str | None, schema: str | None) -> None:
    """Replace the session's functions by their values, as literals."""
    values = {"current_catalog": catalog, "current_database": schema, "current_schema": schema}
    for node in list(tree.find_all(exp.Anonymous)):
        value = values.get(node.name.lower())
        if value is not None and not node.expressions:
            node.replace(exp.Literal.string(value))


def _mentioned_names(tree: exp.Expr) -> set[str] | None:
    """Every name in the statement, in lower case: no other column is used. None if all may be used."""
    for node in tree.find_all(exp.Star, exp.Pivot, exp.Join):
        if isinstance(node, exp.Join):
            if node.method.upper() == "NATURAL":
                return None
        elif isinstance(node, exp.Pivot) or not _counts(node.parent):
            return None
    return {identifier.name.lower() for identifier in tree.find_all(exp.Identifier)}


def _counts(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() == "count"


def _explained(error: duckdb.Error) -> LakerunError:
    """DuckDB's message in one line."""
    text = str(error)
    if (found := re.search(rf"{SPARK_ONLY}: (.*)", text)) is not None:
        return only_in_spark(found.group(1))
    message = " ".join(re.split(r"\n\s*\nLINE \d+:", text)[0].split())
    converted = message.replace(
        "Invalid Input Error: Could not convert", "Conversion Error: Could not convert"
    )
    return SqlError(f"SQL: {converted}", _condition(converted, error))


def _condition(message: str, error: duckdb.Error) -> Condition | None:
    import duckdb

    # The error of a macro has only its text, no class.
    if isinstance(error, duckdb.ConversionException) or "Could not convert" in message:
        return CAST_INVALID_INPUT
    return DIVIDE_BY_ZERO if DIVISION_BY_ZERO in message else None


def _describe(
    tree: exp.Describe, sql: str, storage: Storage, default: tuple[str | None, str | None]
) -> pa.Table:
    if not isinstance(tree.this, exp.Table):
        raise SqlError(f"DESCRIBE needs a table without Spark. {spark_hint()}")
    style = tree.text("style").upper()
    if union := _union(tree.this, storage, default):
        if style == "HISTORY":
            raise SqlError(f"'{table_name(tree.this)}' has no versions: DESCRIBE HISTORY is for a table.")
        return _described(
            _union_columns(union, storage), detailed_union(union) if style == "EXTENDED" else []
        )
    reference = _resolve(tree.this, sql, storage, default)
    table = Table.named(storage, reference.name)
    if style == "HISTORY":
        commits = table.history()
        return _arrow(
            {
                "version": ("BIGINT", [commit["version"] for commit in commits]),
                "timestamp": ("TIMESTAMPTZ", [commit["timestamp"].isoformat() for commit in commits]),
                "operation": ("VARCHAR", [commit["operation"] for commit in commits]),
                "operationMetrics": ("VARCHAR", [json.dumps(commit["metrics"]) for commit in commits]),
                "userMetadata": ("VARCHAR", [commit["user_metadata"] for commit in commits]),
            }
        )
    return _described(table.columns, detailed(reference.name, table, storage) if style == "EXTENDED" else [])


def _union_columns(union: FoundUnion, storage: Storage) -> list[Column]:
    from deltalake import Schema

    return columns_of(Schema.from_arrow(query(union.sql(), storage, limit=0).schema))


def _described(columns: list[Column], more: list[tuple[str, str, str]]) -> pa.Table:
    rows = [*((column.name, column.type, column.comment) for column in columns), *more]
    return _arrow(
        {
            "col_name": ("VARCHAR", [name for name, _, _ in rows]),
            "data_type": ("VARCHAR", [kind for _, kind, _ in rows]),
            "comment": ("VARCHAR", [comment for _, _, comment in rows]),
        }
    )


def _arrow(columns: dict[str, tuple[str, list[Any]]]) -> pa.Table:
    """Python values as an Arrow table, made by DuckDB, as Arrow would import pandas."""
    chosen = ", ".join(
        f"unnest(CAST(${name} AS VARCHAR[]))::{kind} AS {name}" for name, (kind, _) in columns.items()
    )
    with _duckdb() as connection:
        values = {name: [str(v) for v in values] for name, (_, values) in columns.items()}
        return connection.sql(f"SELECT {chosen}", params=values).to_arrow_table()

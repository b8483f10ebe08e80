"""Queries in Databricks SQL over the data folder, without Spark or a JVM: `query`.

deltalake reads each table (it honours deletion vectors), DuckDB computes. Only statements that read, and
nothing outside the lakehouse's own tables: DuckDB has no access to files or the network.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from lakerun.errors import LakerunError, UnknownNameError, closest_first
from lakerun.sql.databricks_sql import parse_statement, position, stored_tables, table_name
from lakerun.sql.duckdb_dialect import DIALECT, MACROS, LocalDuckDB
from lakerun.sql.errors import (
    CAST_INVALID_INPUT,
    DIVIDE_BY_ZERO,
    DIVISION_BY_ZERO,
    Condition,
    SqlError,
    UnknownInSqlError,
    not_available,
    spark_hint,
)
from lakerun.sql.names import detailed, detailed_union, show
from lakerun.sql.parameters import Parameter, bind
from lakerun.sql.rows import Rows
from lakerun.tables.delta_table import Column, Table, columns_of
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

    Tables are named by one, two or three parts; `catalog` and `schema` decide where a short name exists
    more than once. `parameters` are the values of `:name` in the statement. Raises SqlError (with the
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
        """End the query that runs, or the one that is about to."""
        with self._lock:
            self.set = True
            if self._connection is not None:
                self._connection.interrupt()

    @contextmanager
    def watching(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """The query runs on this connection. InterruptedError if it was stopped."""
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
    """A table that the statement reads: where it stands, which one it is, at which version."""

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
    _name_columns(tree)
    _session_values(tree, *default)
    original = tree.copy()
    tables = [Table.named(storage, reference.name, reference.version) for reference in references]
    known = [[column.name for column in table.columns] for table in tables]
    _rename(tree, references)
    translated = tree.sql(dialect=LocalDuckDB)

    import duckdb

    try:
        with _duckdb() as connection, interrupt.watching(connection):
            for number, (table, columns) in enumerate(zip(tables, known, strict=True)):
                wanted = [c for c in columns if names is None or c.lower() in names]
                rows = Rows(partial(table.scan, wanted))
                # A stream lets a query with a LIMIT stop early.
                connection.register(f"t{number}", rows if len(references) == 1 else rows.whole())
            return _run(connection, translated, limit)
    except duckdb.Error as error:
        raise _explained(error, sql, original, [c for columns in known for c in columns]) from None


def _run(connection: duckdb.DuckDBPyConnection, sql: str, limit: int | None) -> pa.Table:
    import pyarrow as pa

    relation = connection.sql(sql)
    if limit is None:
        return _whole_numbers(relation.to_arrow_table())
    reader = relation.to_arrow_reader(min(max(limit, 1), 100_000))
    batches, rows = [], 0
    while rows < limit:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            break
        batches.append(batch.slice(0, limit - rows))
        rows += batches[-1].num_rows
    return _whole_numbers(pa.Table.from_batches(batches, reader.schema))


def _whole_numbers(table: pa.Table) -> pa.Table:
    """A sum of integers is BIGINT in Spark; DuckDB's is wider, and Arrow shows that as DECIMAL(38, 0)."""
    import pyarrow as pa

    for number, field in enumerate(table.schema):
        if field.type == pa.decimal128(38, 0):
            with suppress(pa.ArrowInvalid):  # too large for BIGINT
                table = table.set_column(number, field.name, table.column(number).cast(pa.int64()))
    return table


@contextmanager
def _duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that sees what is registered in it and nothing else."""
    import duckdb

    connection = duckdb.connect(":memory:")
    try:
        for setting in (
            "TimeZone = 'UTC'",
            "python_enable_replacements = false",  # else a name could reach this process's variables
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "enable_external_access = false",
        ):
            connection.execute(f"SET {setting}")
        for name, definition in MACROS.items():
            connection.execute(f"CREATE MACRO spark_{name}{definition}")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def _expand_unions(tree: exp.Expr, storage: Storage, default: tuple[str | None, str | None]) -> None:
    """Put its query in place of each name that is a union's; a table of that name comes first."""
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
    """The union of that name; None where it is a table's or a function's, or unknown."""
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
        raise SqlError(f"The table function '{name.lower()}' is not available here.{hint} {spark_hint()}")
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
        raise SqlError(f"AS OF needs a literal here. {spark_hint()}")
    if clause.name.upper() == "VERSION":
        return int(value.name)
    try:
        at = datetime.fromisoformat(value.name)
    except ValueError:
        raise SqlError(f"'{value.name}' is not a time such as '2024-03-01 12:00:00'.") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def _rename(tree: exp.Expr, references: list[_Reference]) -> None:
    """Point each reference to the name under which its rows are registered; its old name is the alias."""
    stored = {(r.name.schema.lower(), r.name.table.lower()) for r in references}
    for column in tree.find_all(exp.Column):
        if (column.text("db").lower(), column.table.lower()) in stored:  # schema.table.column
            column.set("db", None)
            column.set("catalog", None)
    for number, reference in enumerate(references):
        node = reference.node
        if not node.alias:
            node.set("alias", exp.TableAlias(this=node.this.copy()))
        for part in ("db", "catalog", "version"):
            node.set(part, None)
        node.set("this", exp.to_identifier(f"t{number}"))


def _session_values(tree: exp.Expr, catalog: str | None, schema: str | None) -> None:
    """DuckDB would answer these with names of its own."""
    values = {exp.CurrentCatalog: catalog, exp.CurrentSchema: schema, exp.CurrentUser: None}
    for node in list(tree.find_all(*values)):
        value = values[type(node)]
        if value is None:
            name = node.sql(DIALECT).lower().removesuffix("()")
            raise not_available(name)
        node.replace(exp.Literal.string(value))


def _name_columns(tree: exp.Expr) -> None:
    """Name an unnamed column of the result after what it computes, as Spark does."""
    if isinstance(tree, exp.Select):
        for column in tree.selects:
            if not isinstance(
                column, exp.Alias | exp.Aliases | exp.Column | exp.Star | exp.Dot | exp.Posexplode
            ):
                text = column.sql("databricks", normalize_functions="lower")
                text = "col" if isinstance(column, exp.Explode) else text
                column.replace(exp.alias_(column.copy(), text, quoted=True))


def _mentioned_names(tree: exp.Expr) -> set[str] | None:
    """Every name in the statement, in lower case: no other column can matter. None: all columns matter."""
    for node in tree.find_all(exp.Star, exp.Pivot, exp.Join):
        if isinstance(node, exp.Join):
            if node.method.upper() == "NATURAL":
                return None
        elif isinstance(node, exp.Pivot) or not isinstance(node.parent, exp.Count):
            return None
    return {identifier.name.lower() for identifier in tree.find_all(exp.Identifier)}


def _explained(error: duckdb.Error, sql: str, tree: exp.Expr, columns: Iterable[str]) -> LakerunError:
    """DuckDB's message in one line, with the position in the statement as it was given."""
    text = str(error)
    unknown = re.search(r'Referenced column "([^"]+)" not found|does not have a column named "([^"]+)"', text)
    if unknown:
        name = (unknown.group(1) or unknown.group(2)).split(".")[-1]
        nodes = (i for i in tree.find_all(exp.Identifier) if i.name.lower() == name.lower())
        where = next((position(sql, node) for node in nodes), "")
        valid = closest_first(name, sorted(set(columns)))
        problem = UnknownNameError("column", name, valid)
        return UnknownInSqlError(problem, where)
    function = re.search(r"Function with name \"?(\w+)\"? does not exist", text)
    if function:
        return not_available(function.group(1))
    message = " ".join(re.split(r"\n\s*\nLINE \d+:", text)[0].split())
    return SqlError(f"SQL: {message}", _condition(error))


def _condition(error: duckdb.Error) -> Condition | None:
    import duckdb

    if isinstance(error, duckdb.ConversionException):
        return CAST_INVALID_INPUT
    # The error of a macro has no class of its own, only its text.
    return DIVIDE_BY_ZERO if DIVISION_BY_ZERO in str(error) else None


def _describe(
    tree: exp.Describe, sql: str, storage: Storage, default: tuple[str | None, str | None]
) -> pa.Table:
    if not isinstance(tree.this, exp.Table):
        raise SqlError(f"DESCRIBE takes a table here. {spark_hint()}")
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
    """Python values as an Arrow table, by DuckDB: Arrow's own way imports pandas."""
    chosen = ", ".join(
        f"unnest(CAST(${name} AS VARCHAR[]))::{kind} AS {name}" for name, (kind, _) in columns.items()
    )
    with _duckdb() as connection:
        values = {name: [str(v) for v in values] for name, (_, values) in columns.items()}
        return connection.sql(f"SELECT {chosen}", params=values).to_arrow_table()

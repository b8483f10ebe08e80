"""`spark.catalog`, `saveAsTable` and the like for the lakehouse's tables, in the code of tasks."""

# The names are PySpark's.
# ruff: noqa: N802, N803, N815

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

from lakerun.errors import LakerunError, UnknownNameError
from lakerun.patches import CATALOG, CONNECT_CATALOG, CONNECT_WRITERS, TABLE_WRITERS, Patch, Replace
from lakerun.spark.active_session import is_connect_mode
from lakerun.spark.names import TaskTables
from lakerun.spark.statements import matching, use
from lakerun.tables.storage import TableName, name_parts, quoted

current_tables: ContextVar[TaskTables | None] = ContextVar("task_tables", default=None)


class _Catalog:
    """The methods of `spark.catalog`, each with Spark's own, for what is not a table of the lakehouse."""

    def currentCatalog(self, own: Any, tables: TaskTables) -> str:
        return tables.catalog

    def setCurrentCatalog(self, own: Any, tables: TaskTables, catalogName: str) -> None:
        use(tables, catalogName, "default")

    def listCatalogs(self, own: Any, tables: TaskTables, pattern: str | None = None) -> Any:
        from pyspark.sql.catalog import CatalogMetadata

        return [CatalogMetadata(name, None) for name in matching(tables.catalogs(), pattern)]

    def currentDatabase(self, own: Any, tables: TaskTables) -> str:
        return tables.schema

    def setCurrentDatabase(self, own: Any, tables: TaskTables, dbName: str) -> None:
        use(tables, *tables.schema_of(dbName))

    def listDatabases(self, own: Any, tables: TaskTables, pattern: str | None = None) -> Any:
        return [
            _database(tables, tables.catalog, name)
            for name in matching(tables.schemas(tables.catalog), pattern)
        ]

    def getDatabase(self, own: Any, tables: TaskTables, dbName: str) -> Any:
        catalog, schema = tables.schema_of(dbName)
        if schema not in tables.schemas(catalog):
            raise UnknownNameError("schema", f"{catalog}.{schema}", tables.schemas(catalog))
        return _database(tables, catalog, schema)

    def databaseExists(self, own: Any, tables: TaskTables, dbName: str) -> bool:
        catalog, schema = tables.schema_of(dbName)
        return schema in tables.schemas(catalog)

    def listTables(
        self,
        own: Any,
        tables: TaskTables,
        dbName: str | None = None,
        pattern: str | None = None,
    ) -> Any:
        catalog, schema = tables.schema_of(dbName)
        names = matching(tables.listed(catalog, schema), pattern)
        views = matching(_temporary_views(), pattern) if dbName is None else []
        return [_table(TableName(catalog, schema, name)) for name in names] + [_view(name) for name in views]

    def getTable(self, own: Any, tables: TaskTables, tableName: str) -> Any:
        found = tables.stored(tableName)
        return _table(found) if found else own(tableName)

    def listColumns(self, own: Any, tables: TaskTables, tableName: str, dbName: str | None = None) -> Any:
        from pyspark.sql import SparkSession
        from pyspark.sql.catalog import Column

        name = _within(dbName, tableName)
        if tables.stored(name) is None and tables.union(name) is None:
            return own(tableName, dbName)
        return [
            Column(
                name=field.name,
                description=field.metadata.get("comment"),
                dataType=field.dataType.simpleString(),
                nullable=field.nullable,
                isPartition=False,
                isBucket=False,
                isCluster=False,
            )
            for field in SparkSession.active().table(name).schema
        ]

    def tableExists(self, own: Any, tables: TaskTables, tableName: str, dbName: str | None = None) -> bool:
        name = _within(dbName, tableName)
        if tables.stored(name) or tables.union(name):
            return True
        return len(name_parts(name)) < 3 and bool(own(name))  # a temporary view

    def createTable(self, own: Any, tables: TaskTables, tableName: str, *_: Any, **__: Any) -> Any:
        raise LakerunError(
            f"Table '{tableName}' cannot be made by spark.catalog.createTable here: "
            "write spark.sql('CREATE TABLE ...') or saveAsTable."
        )

    createExternalTable = createTable


def _in_catalog(original: Callable[..., Any], *, name: str) -> Callable[..., Any]:
    method = getattr(_Catalog(), name)

    @wraps(original)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        tables = current_tables.get()
        own = partial(original, self)
        return own(*args, **options) if tables is None else method(own, tables, *args, **options)

    return call


def _save_as_table(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def saveAsTable(
        self: Any,
        name: str,
        format: Any = None,
        mode: Any = None,
        partitionBy: Any = None,
        **options: Any,
    ) -> Any:
        if (tables := current_tables.get()) is None:
            return original(self, name, format, mode, partitionBy, **options)
        path = _new_path(tables, name, format, options)
        return self.format("delta").save(path, mode=mode, partitionBy=partitionBy, **options)

    return saveAsTable


def _insert_into(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def insertInto(self: Any, tableName: str, overwrite: bool | None = None) -> Any:
        tables = current_tables.get()
        found = tables.stored(tableName) if tables else None
        if tables is None or found is None:
            return original(self, tableName, overwrite)
        tables.target(tableName)
        view = f"inserted_{id(self)}"
        _rows(self).createOrReplaceTempView(view)
        try:
            verb = "OVERWRITE" if overwrite else "INTO"
            self._spark.sql(f"INSERT {verb} delta.{quoted(tables.path(found))} SELECT * FROM {view}")
        finally:
            self._spark.catalog.dropTempView(view)

    return insertInto


def _to_table(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def toTable(self: Any, tableName: str, format: Any = None, *args: Any, **options: Any) -> Any:
        if (tables := current_tables.get()) is None:
            return original(self, tableName, format, *args, **options)
        path = _new_path(tables, tableName, format, options)
        return self.start(path, "delta", *args, **options)

    return toTable


def _write_to(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def writeTo(self: Any, table: str) -> Any:
        if (tables := current_tables.get()) is None:
            return original(self, table)
        return original(self, f"delta.{quoted(tables.path(tables.target(table)))}")

    return writeTo


def _new_path(tables: TaskTables, name: str, kind: Any, options: dict[str, Any]) -> str:
    """Where a table of that name is to be."""
    if kind not in (None, "delta"):
        raise LakerunError(f"Table '{name}' cannot be of format {kind}: only Delta tables are kept here.")
    if "path" in options:
        raise LakerunError(
            f"Table '{name}' cannot have a path of its own: tables are kept in the data folder."
        )
    return tables.path(tables.target(name))


def _within(schema: str | None, table: str) -> str:
    return f"{schema}.{table}" if schema else table


def _database(tables: TaskTables, catalog: str, schema: str) -> Any:
    from pyspark.sql.catalog import Database

    return Database(schema, catalog, None, (tables.storage.tables_root / catalog / schema).as_uri())


def _temporary_views() -> list[str]:
    from pyspark.sql import SparkSession

    return [row.viewName for row in SparkSession.active().sql("SHOW VIEWS").collect() if row.isTemporary]


def _view(name: str) -> Any:
    from pyspark.sql.catalog import Table as SparkTable

    return SparkTable(name, None, [], None, "TEMPORARY", True)


def _table(name: TableName) -> Any:
    from pyspark.sql.catalog import Table as SparkTable

    return SparkTable(name.table, name.catalog, [name.schema], None, "MANAGED", False)


def _rows(writer: Any) -> Any:
    """What a writer writes; Connect's has only the plan of it."""
    if not is_connect_mode():
        return writer._df
    from pyspark.sql.connect.dataframe import DataFrame

    return DataFrame(writer._df, writer._spark)


def catalog_hooks() -> dict[Patch, Replace]:
    """What replaces the methods of the catalog and of writers, in the classes that this context uses."""
    catalog, writers = (CONNECT_CATALOG, CONNECT_WRITERS) if is_connect_mode() else (CATALOG, TABLE_WRITERS)
    return {
        **{patch: partial(_in_catalog, name=patch.attribute) for patch in catalog},
        **dict(zip(writers, (_save_as_table, _insert_into, _to_table, _write_to), strict=True)),
    }

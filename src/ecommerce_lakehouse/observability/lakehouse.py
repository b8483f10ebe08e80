"""The tables, queries and secrets of an environment, wherever this runs: `lakehouse_of`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from pydantic import SecretStr

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.errors import BUSY, ShopError
from ecommerce_lakehouse.observability.health_sql import EVENT_LOG_PREFIX, EVENTS, LOG_COLUMNS, events_sql

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

    from ecommerce_lakehouse.observability.metrics_export.sources import Source

LEASES = "activation_leases"
CHANGE_FEED = "delta.enableChangeDataFeed"
GROUP = "ecommerce_lakehouse.lakehouse"
"""Entry points of this group take the settings and return a Lakehouse, or None if they do not apply."""


class SecretError(ShopError):
    """A secret cannot be read; the message names it in one line, and never holds it."""

    code = "NO_SECRET"


class BusyError(ShopError):
    """Somebody else is doing the same at this time."""

    code = "BUSY"
    exit_code = BUSY


@dataclass(frozen=True)
class StoredTable:
    """One table or view. `reference` is its name in SQL; `kind` is Unity Catalog's table type."""

    name: str
    reference: str
    kind: str


@dataclass(frozen=True)
class TableVersion:
    """What a table is now: `id` distinguishes it from an earlier one of its name."""

    id: str
    version: int
    change_feed: bool

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"


class Lakehouse(Protocol):
    """What monitoring and maintenance need from the place where they run, in the settings' schema."""

    @property
    def billed(self) -> bool:
        """Whether `system.billing` says what compute cost."""

    @property
    def keeps_grants(self) -> bool:
        """Whether a catalog keeps privileges on the tables, and checks them."""

    def tables(self) -> list[StoredTable]:
        """Every table and view, sorted by name, with `pipeline_events` once there is an event log."""

    def reference(self, table: str) -> str:
        """A table's name in SQL, whether or not it exists."""

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query in Databricks SQL, a mapping per row; instants are in UTC."""

    def version(self, table: str) -> TableVersion | None:
        """The version of a table; None if there is none. A view has a new one each time."""

    def append(self, rows: pa.Table, table: str) -> None:
        """Append rows to a table; the first call creates it, and a later one may add columns to it."""

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """In this context no other process is in the context of the same name.

        Raises BusyError, with exit code 3, if another one is.
        """

    def create_events(self) -> list[str]:
        """Make the relation `pipeline_events` cover every event log that exists now; returns their names."""

    def source(self) -> Source:
        """The tables as the metrics export reads them."""

    def secret(self, key: str) -> SecretStr | None:
        """The value of a key of the settings' secret scope; None where there are no secrets.

        Raises SecretError if it should exist and cannot be read.
        """


def lakehouse_of(config: LakehouseConfig) -> Lakehouse:
    """The lakehouse of these settings: an entry point's of this installation, else Unity Catalog."""
    return installed(GROUP, config) or UnityCatalog(config)


def installed(group: str, config: LakehouseConfig) -> Any:
    """What the first entry point of a group that knows these settings makes of them; None without one."""
    made = (point.load()(config) for point in entry_points(group=group))
    return next((found for found in made if found is not None), None)


def secret_of(lakehouse: Lakehouse, variable: str, key: str | None) -> SecretStr | None:
    """The value of the environment variable, else of the key in the settings' secret scope.

    None without either. Raises SecretError as `Lakehouse.secret` does.
    """
    if given := os.environ.get(variable):
        return SecretStr(given)
    return None if key is None else lakehouse.secret(key)


class UnityCatalog:
    """Tables of Unity Catalog, by `spark`, else the active Spark session, else a new one."""

    billed = True
    keeps_grants = True

    def __init__(self, config: LakehouseConfig, spark: SparkSession | None = None) -> None:
        self._config = config
        self._given = spark

    def tables(self) -> list[StoredTable]:
        found = self.rows(
            f"SELECT table_name, table_type FROM `{self._config.catalog}`.information_schema.tables "
            f"WHERE table_schema = '{self._config.schema}' ORDER BY table_name"
        )
        return [
            StoredTable(row["table_name"], self.reference(row["table_name"]), row["table_type"])
            for row in found
        ]

    def reference(self, table: str) -> str:
        return reference_in(self._config, table)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return [row.asDict(recursive=True) for row in self._spark().sql(sql).collect()]

    def version(self, table: str) -> TableVersion | None:
        from pyspark.errors import PySparkException

        spark, reference = self._spark(), self.reference(table)
        if not spark.catalog.tableExists(reference):
            return None
        try:
            detail = spark.sql(f"DESCRIBE DETAIL {reference}").select("id", "properties").collect()[0]
            newest = spark.sql(f"DESCRIBE HISTORY {reference} LIMIT 1").select("version").collect()[0]
        except PySparkException:
            return TableVersion(str(uuid4()), 0, False)
        return TableVersion(detail["id"], newest["version"], detail["properties"].get(CHANGE_FEED) == "true")

    def append(self, rows: pa.Table, table: str) -> None:
        from pyspark.sql.pandas.types import from_arrow_schema

        # Spark Connect asks for the schema where there are no rows.
        frame = self._spark().createDataFrame(rows, from_arrow_schema(rows.schema))
        writer = frame.write.format("delta").mode("append")
        writer.option("mergeSchema", "true").saveAsTable(self.reference(table))

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        from ecommerce_lakehouse.observability.leases import Lease

        with Lease(self._spark(), self.reference(LEASES), name):
            yield

    def create_events(self) -> list[str]:
        columns = ", ".join(f"'{name}'" for name in LOG_COLUMNS)
        found = self.rows(
            f"SELECT table_name FROM `{self._config.catalog}`.information_schema.columns "
            f"WHERE table_schema = '{self._config.schema}' AND startswith(table_name, '{EVENT_LOG_PREFIX}') "
            f"AND column_name IN ({columns}) "
            f"GROUP BY table_name HAVING count(*) = {len(LOG_COLUMNS)} ORDER BY table_name"
        )
        logs = [row["table_name"] for row in found]
        if logs:
            query = events_sql([self.reference(log) for log in logs])
            self._spark().sql(f"CREATE OR REPLACE VIEW {self.reference(EVENTS)} AS {query}")
        return logs

    def source(self) -> Source:
        return SparkSource(self)

    def secret(self, key: str) -> SecretStr | None:
        scope = self._config.secret_scope
        try:
            # Databricks' own module.
            from pyspark.dbutils import DBUtils  # type: ignore[import-not-found]
            from pyspark.sql import SparkSession

            return SecretStr(DBUtils(SparkSession.getActiveSession()).secrets.get(scope, key))
        except Exception as error:
            kind = type(error).__name__
            raise SecretError(f"secret '{key}' of scope '{scope}' cannot be read ({kind})") from None

    def _spark(self) -> SparkSession:
        from pyspark.sql import SparkSession

        return self._given or SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()


class SparkSource:
    """Tables of Unity Catalog."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse

    def tables(self) -> list[str]:
        return [table.name for table in self._lakehouse.tables()]

    def rows(self, table: str, columns: str, clauses: str = "") -> list[tuple[Any, ...]]:
        found = self._lakehouse.rows(f"SELECT {columns} FROM {self._lakehouse.reference(table)} {clauses}")
        return [tuple(row.values()) for row in found]

    def micros(self, column: str) -> str:
        return f"unix_micros({column})"

    def instant(self, micros: int) -> str:
        return f"timestamp_micros({micros})"


def reference_in(config: LakehouseConfig, table: str) -> str:
    """A table's name in three parts, quoted."""
    return f"`{config.catalog}`.`{config.schema}`.`{table}`"


def has_events(tables: Sequence[StoredTable]) -> bool:
    """Whether the relation `pipeline_events` is among these."""
    return any(table.name == EVENTS for table in tables)

"""Where an export reads: event logs and gold tables, by Spark on Databricks and by delta-rs on a laptop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.observability.metrics_export.failures import ExportError

if TYPE_CHECKING:
    from deltalake import DeltaTable

Values = tuple[Any, ...]


class Source(Protocol):
    """The tables of an environment's schema. Instants go in and out as microseconds since 1970, UTC."""

    def tables(self) -> list[str]:
        """Names of the tables, without catalog and schema."""

    def rows(self, table: str, columns: str, clauses: str = "") -> list[Values]:
        """The rows of `SELECT columns FROM table clauses`, in SQL that both engines take."""

    def micros(self, column: str) -> str:
        """SQL for an instant as a number."""

    def instant(self, micros: int) -> str:
        """SQL for a number as an instant."""


def source_of(config: LakehouseConfig) -> Source:
    """The source of an environment; starts Spark on Databricks alone."""
    return DeltaSource(config) if config.tables_root else SparkSource(config)


class DeltaSource:
    """Delta directories, read without Spark; each table stays at the version at which it is first read."""

    def __init__(self, config: LakehouseConfig) -> None:
        self._folder = Path(config.tables_root or "") / config.catalog / config.schema
        self._open: dict[str, DeltaTable] = {}

    def tables(self) -> list[str]:
        return sorted(log.parent.name for log in self._folder.glob("*/_delta_log"))

    def rows(self, table: str, columns: str, clauses: str = "") -> list[Values]:
        import pyarrow as pa
        from deltalake import DeltaTable, QueryBuilder
        from deltalake.exceptions import DeltaError

        try:
            if table not in self._open:
                self._open[table] = DeltaTable(str(self._folder / table))
            query = QueryBuilder().register("stored", self._open[table])
            found = pa.RecordBatchReader.from_stream(
                query.execute(f"SELECT {columns} FROM stored {clauses}")
            ).read_all()
        except (DeltaError, ValueError, OSError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise ExportError(f"table {table} cannot be read: {line}") from None
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def micros(self, column: str) -> str:
        return f"arrow_cast(arrow_cast({column}, 'Timestamp(Microsecond, Some(\"UTC\"))'), 'Int64')"

    def instant(self, micros: int) -> str:
        return f"arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')"


class SparkSource:
    """Tables of Unity Catalog."""

    def __init__(self, config: LakehouseConfig) -> None:
        from pyspark.sql import SparkSession

        self._config = config
        self._spark = SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()

    def tables(self) -> list[str]:
        from ecommerce_lakehouse.observability.stored import stored_tables

        return [table.name for table in stored_tables(self._spark, self._config)]

    def rows(self, table: str, columns: str, clauses: str = "") -> list[Values]:
        from ecommerce_lakehouse.observability.stored import reference_to

        sql = f"SELECT {columns} FROM {reference_to(table, self._config)} {clauses}"
        return [tuple(row) for row in self._spark.sql(sql).collect()]

    def micros(self, column: str) -> str:
        return f"unix_micros({column})"

    def instant(self, micros: int) -> str:
        return f"timestamp_micros({micros})"

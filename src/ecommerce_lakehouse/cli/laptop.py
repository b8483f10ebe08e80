"""The lakehouse on a laptop, read by the runtime without a JVM: `laptop`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.observability.health_sql import EVENTS
from ecommerce_lakehouse.observability.lakehouse import (
    CHANGE_FEED,
    BusyError,
    Lakehouse,
    StoredTable,
    TableVersion,
    reference_in,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from ecommerce_lakehouse.observability.metrics_export.sources import Source
    from ecommerce_lakehouse.privacy.place import Place
    from lakerun.tables.storage import Storage, TableName


def data_folder(config: LakehouseConfig) -> Place | None:
    """The data folder, as an erasure sees it; None as with `laptop`."""
    if laptop(config) is None:
        return None
    from ecommerce_lakehouse.cli.erasure.laptop import DataFolder
    from lakerun.tables.storage import Storage

    return DataFolder(config, Storage(Path(config.tables_root or "").parent))


def laptop(config: LakehouseConfig) -> Lakehouse | None:
    """The data folder's tables; None on Databricks, or where the runtime is not installed."""
    if config.tables_root is None or find_spec("lakerun") is None:
        return None
    return Laptop(config)


class Laptop:
    """Delta directories of the data folder. There is no catalog: each table is plain Delta (MANAGED)."""

    billed = False
    keeps_grants = False

    def __init__(self, config: LakehouseConfig) -> None:
        self._config = config

    def tables(self) -> list[StoredTable]:
        names = {name.table: "MANAGED" for name in self._stored()}
        if self.create_events():
            names[EVENTS] = "VIEW"
        return [StoredTable(name, self.reference(name), kind) for name, kind in sorted(names.items())]

    def reference(self, table: str) -> str:
        return reference_in(self._config, table)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        from lakerun.sql.query import query
        from lakerun.tables.arrow_rows import rows_of

        found = query(sql, self._storage(), catalog=self._config.catalog, schema=self._config.schema)
        return [dict(zip(found.column_names, row, strict=True)) for row in rows_of(found)]

    def version(self, table: str) -> TableVersion | None:
        from lakerun.tables.delta_table import Table
        from lakerun.tables.storage import TableName

        found = Table.named(self._storage(), TableName(self._config.catalog, self._config.schema, table))
        newest = found.newest
        if newest is None:
            return None
        properties = found.delta.metadata().configuration
        return TableVersion(str(found.table_id), newest, properties.get(CHANGE_FEED) == "true")

    def append(self, rows: pa.Table, table: str) -> None:
        from deltalake import write_deltalake

        from lakerun.tables.storage import TableName

        path = self._storage().table_path(TableName(self._config.catalog, self._config.schema, table))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_deltalake(str(path), rows, mode="append", schema_mode="merge")

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        from filelock import FileLock, Timeout

        folder = self._storage().home
        folder.mkdir(parents=True, exist_ok=True)
        # The system frees it when the process ends, however it ends.
        lock = FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(f"Another {name} is running in {folder}; wait for its end.") from None
        try:
            yield
        finally:
            lock.release()

    def create_events(self) -> list[str]:
        """Stores nothing: the runtime resolves the name to the event logs that exist at query time."""
        from ecommerce_lakehouse.cli.unions import UNIONS
        from lakerun.tables.unions import tables_by_schema

        found = tables_by_schema(self._storage(), UNIONS[EVENTS])
        return [log.table for log in found.get((self._config.catalog, self._config.schema), ())]

    def source(self) -> Source:
        from ecommerce_lakehouse.cli.laptop_source import DeltaSource
        from lakerun.tables.delta_table import Table

        storage = self._storage()
        return DeltaSource({name.table: Table.named(storage, name) for name in self._stored()})

    def secret(self, key: str) -> SecretStr | None:
        """Only a job's task has secrets, through the runtime's version of Databricks' module."""
        module = sys.modules.get("pyspark.dbutils")
        if module is None:
            return None
        from pyspark.sql import SparkSession

        try:
            utilities = module.DBUtils(SparkSession.getActiveSession())
            return SecretStr(utilities.secrets.get(self._config.secret_scope, key))
        except Exception:
            return None

    def _stored(self) -> list[TableName]:
        schema = (self._config.catalog, self._config.schema)
        return [name for name in self._storage().tables() if (name.catalog, name.schema) == schema]

    def _storage(self) -> Storage:
        from lakerun.tables.storage import Storage

        return Storage(Path(self._config.tables_root or "").parent)

"""The lakehouse on a laptop, answered by the runtime without a JVM: `laptop`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.observability.health_sql import EVENTS
from ecommerce_lakehouse.observability.lakehouse import Lakehouse, StoredTable, reference_in

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from ecommerce_lakehouse.observability.metrics_export.sources import Source
    from lakerun.tables.storage import Storage


def laptop(config: LakehouseConfig) -> Lakehouse | None:
    """The data folder's tables; None where a catalog answers, or the runtime is not installed."""
    if config.tables_root is None or find_spec("lakerun") is None:
        return None
    return Laptop(config)


class Laptop:
    """Delta directories of the data folder. No catalog knows the tables: each is plain Delta (MANAGED)."""

    billed = False

    def __init__(self, config: LakehouseConfig) -> None:
        self._config = config
        self._folder = Path(config.tables_root or "") / config.catalog / config.schema

    def tables(self) -> list[StoredTable]:
        names = dict.fromkeys((log.parent.name for log in self._folder.glob("*/_delta_log")), "MANAGED")
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

    def append(self, rows: DataFrame, table: str) -> None:
        rows.write.format("delta").mode("append").save(str(self._folder / table))

    def create_events(self) -> list[str]:
        """Nothing is stored: the runtime answers the name with the event logs that exist at the time."""
        from ecommerce_lakehouse.cli.plugin import UNIONS
        from lakerun.tables.unions import tables_by_schema

        found = tables_by_schema(self._storage(), UNIONS[EVENTS])
        return [log.table for log in found.get((self._config.catalog, self._config.schema), ())]

    def source(self) -> Source:
        from ecommerce_lakehouse.cli.laptop_source import DeltaSource

        return DeltaSource(self._folder)

    def secret(self, key: str) -> SecretStr | None:
        """Only a task of a job has secrets, by Databricks' module as the runtime provides it."""
        module = sys.modules.get("pyspark.dbutils")
        if module is None:
            return None
        from pyspark.sql import SparkSession

        try:
            utilities = module.DBUtils(SparkSession.getActiveSession())
            return SecretStr(utilities.secrets.get(self._config.secret_scope, key))
        except Exception:
            return None

    def _storage(self) -> Storage:
        from lakerun.tables.storage import Storage

        return Storage(Path(self._config.tables_root or "").parent)

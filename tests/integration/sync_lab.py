"""Shared by the tests of reverse ETL: a lakehouse in which tests write tables, and a server that counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.sync.declarations import AnySync, load_syncs
from ecommerce_lakehouse.activation.sync.plan import SyncPlan, make_plan
from ecommerce_lakehouse.activation.sync.run import Result, run_sync
from ecommerce_lakehouse.activation.sync.stream import stream_sync
from ecommerce_lakehouse.activation.sync.tables import SyncTables
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.observability.lakehouse import Lakehouse, lakehouse_of
from lakerun.spark.task_tables import lakehouse_tables
from lakerun.tables.storage import Storage
from tests.customerio_server import CustomerIOServer
from tests.unit.customerio import settings

PEOPLE = "id string, name string, spent decimal(10,2)"


class Lab:
    """Tables and syncs of one empty lakehouse."""

    def __init__(
        self, spark: SparkSession, lakehouse: Lakehouse, folder: Path, server: CustomerIOServer
    ) -> None:
        self.spark, self.lakehouse, self.server, self._folder = spark, lakehouse, server, folder
        self.home = folder.parent
        self.tables = SyncTables(spark, lakehouse)
        self.lost: Counter[str] = Counter()  # arrived, and a kill lost the receipt

    def table(self, name: str, rows: list[tuple[Any, ...]], schema: str, **properties: str) -> None:
        """Write the whole table."""
        frame = self.spark.createDataFrame(rows, schema)
        frame.write.mode("overwrite").option("overwriteSchema", "true").saveAsTable(
            self.lakehouse.reference(name)
        )
        for key, value in properties.items():
            self.sql(f"ALTER TABLE {{{name}}} SET TBLPROPERTIES ('delta.{key}' = '{value}')", **{name: name})

    def sql(self, text: str, **names: str) -> DataFrame:
        """Run a statement in which `{name}` is a table."""
        return self.spark.sql(
            text.format(**{key: self.lakehouse.reference(name) for key, name in names.items()})
        )

    def sync(self, name: str, text: str) -> AnySync:
        """Declare a sync."""
        (self._folder / f"{name}.yml").write_text(text)
        return load_syncs(self._folder)[name]

    def plan(self, sync: AnySync, **options: Any) -> SyncPlan:
        return make_plan(self.spark, self.tables, sync, **options).plan

    def run(self, sync: AnySync, *, strict: bool = True, **options: Any) -> Result:
        return run_sync(
            self.spark, self.tables, sync, lambda observe: self._client(observe, strict), **options
        )

    def follow(self, sync: AnySync, checkpoint: Path) -> None:
        """Stream what is new, to its end."""
        stream_sync(self.spark, self.tables, sync, self._client, str(checkpoint)).awaitTermination()

    def _client(self, observe: Callable[[Any], None], strict: bool = True) -> Client:
        return Client(settings(self.server, strict=strict), observe=observe)

    def sent(self) -> list[dict[str, Any]]:
        """What arrived since the last call."""
        found, self.server.messages = self.server.messages, []
        return found


@contextmanager
def lab(spark: SparkSession, home: Path, **server: Any) -> Iterator[Lab]:
    """A lakehouse in the data folder `home`."""
    folder = home / "syncs"
    folder.mkdir(parents=True)
    with lakehouse_tables(Storage.default()), CustomerIOServer(**server) as opened:
        yield Lab(spark, lakehouse_of(get_config("local")), folder, opened)

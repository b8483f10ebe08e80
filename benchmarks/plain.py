"""The tables of medallion_dlt_pipeline by a plain PySpark and Delta script: what the engine is measured by.

New files are found by a list of those that were processed; they are appended to bronze and parsed once;
silver is a MERGE; gold is overwritten, its tables side by side. No expectation is counted, nothing is logged,
and a kill in the middle leaves a mess: that is what the engine's extra time buys.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import CUSTOMER_PROFILES, ORDERS, Entity
from ecommerce_lakehouse.quality.checks import quality_checks
from ecommerce_lakehouse.quality.quarantine import (
    BROKEN_RULES,
    JUDGED_BY,
    kept,
    quarantined,
    with_broken_rules,
)
from ecommerce_lakehouse.quality.reconciliation import EntityTables, reconciliation
from ecommerce_lakehouse.quality.rules import pipeline_rules, rules_for
from ecommerce_lakehouse.transforms import customers, products, sales
from ecommerce_lakehouse.transforms.ingest import (
    CHECKS,
    latest_per_key,
    parse,
    sequence,
    superseded,
    to_bronze,
)

HELPERS = [*CHECKS, "raw_line", BROKEN_RULES, JUDGED_BY]
PIPELINE = "medallion"
THREADS = 3  # more are not faster on 2 cores


def run(spark: SparkSession, config: LakehouseConfig, home: Path) -> int:
    """Bring the tables below `home`/tables up to date; the number of new files that were found."""
    lake = _Lake(spark, config, home)
    new_files = {entity: lake.new_files(entity) for entity in (ORDERS, CUSTOMER_PROFILES)}
    if not any(new_files.values()):
        return 0
    for entity, files in new_files.items():
        if files:
            lake.ingest(entity, files)
    tables = [lake.realtime, lake.duplicates, lake.history, *lake.gold()]
    with ThreadPoolExecutor(THREADS) as pool:
        for written in [pool.submit(table) for table in tables]:
            written.result()
    lake.data_quality_check()
    lake.quality()
    lake.remember([name for files in new_files.values() for name in files])
    return sum(map(len, new_files.values()))


def versions(valid: DataFrame, entity: Entity) -> DataFrame:
    """Every version of a key: its fields, `environment`, `__START_AT`, `__END_AT` (NULL: the current one)."""
    in_order = Window.partitionBy(entity.key).orderBy("__START_AT")
    fields = [*entity.field_names, "environment"]
    records = valid.select(*fields, sequence(entity).alias("__START_AT")).dropDuplicates(
        [entity.key, "__START_AT"]
    )
    # A record that equals the one before it is not a new version.
    content = F.struct(*fields)
    changed = ~content.eqNullSafe(F.lag(content).over(in_order))
    kept_versions = records.withColumn("_changed", changed).where("_changed").drop("_changed")
    return kept_versions.withColumn("__END_AT", F.lead("__START_AT").over(in_order))


@dataclass(frozen=True)
class _Lake:
    spark: SparkSession
    config: LakehouseConfig
    home: Path

    # Files ----------------------------------------------------------------------------------------------

    def new_files(self, entity: Entity) -> list[str]:
        processed = set(json.loads(self._list.read_text("utf-8"))) if self._list.exists() else set()
        folder = Path(self.config.source_path(entity.name))
        return [name for name in sorted(map(str, folder.glob("*.json"))) if name not in processed]

    def remember(self, files: list[str]) -> None:
        processed = json.loads(self._list.read_text("utf-8")) if self._list.exists() else []
        self._list.parent.mkdir(parents=True, exist_ok=True)
        self._list.write_text(json.dumps(processed + files), "utf-8")

    @property
    def _list(self) -> Path:
        return self.home / "plain" / "processed_files.json"

    # Bronze and silver ----------------------------------------------------------------------------------

    def ingest(self, entity: Entity, files: list[str]) -> None:
        """Bronze, parsed rows, quarantine and silver of an entity's new files."""
        started = F.lit(datetime.now(UTC))
        silver_properties = self.config.get_silver_table_properties()
        bronze, parsed = f"bronze_{entity.name}", f"silver_{entity.target}_parsed"

        lines = to_bronze(self.spark.read.option("lineSep", "\n").text(files), self.config.environment)
        self._write(bronze, lines, "append", self.config.get_bronze_table_properties())

        new_lines = self._read(bronze).where(F.col("ingested_at") >= started)
        rules = rules_for(f"silver_{entity.target}", self.config).drop
        self._write(parsed, with_broken_rules(parse(new_lines, entity), rules), "append", silver_properties)

        new_rows = self._read(parsed).where(F.col("ingested_at") >= started)
        self._write(f"quarantine_{entity.target}", quarantined(new_rows), "append", silver_properties)
        newest = latest_per_key(kept(new_rows).drop(*HELPERS), entity).select(*self._columns(parsed))
        self._upsert(f"silver_{entity.target}", newest, entity, silver_properties)

    def _upsert(self, table: str, newest: DataFrame, entity: Entity, properties: dict[str, str]) -> None:
        if not self._exists(table):
            self._write(table, newest, "append", properties)
            return
        order = (*entity.sequence_by, "record_hash", "source_file", "line_hash")
        of = {side: f"struct({', '.join(f'{side}.{name}' for name in order)})" for side in "st"}
        (
            DeltaTable.forPath(self.spark, self._path(table))
            .alias("t")
            .merge(newest.alias("s"), f"t.{entity.key} = s.{entity.key}")
            .whenMatchedUpdateAll(condition=f"{of['s']} > {of['t']}")
            .whenNotMatchedInsertAll()
            .execute()
        )

    def duplicates(self) -> None:
        for entity in (ORDERS, CUSTOMER_PROFILES):
            self._overwrite_silver(f"{entity.target}_duplicates", superseded(self._valid(entity), entity))

    def history(self) -> None:
        self._overwrite_silver(
            "customers_history", versions(self._valid(CUSTOMER_PROFILES), CUSTOMER_PROFILES)
        )

    # Gold -----------------------------------------------------------------------------------------------

    def gold(self) -> list[Callable[[], None]]:
        """One function per gold table, apart from the real-time metrics and the check of the whole."""
        config, orders, people = self.config, self._read("silver_orders"), self._read("silver_customers")
        tables: dict[str, Callable[[], DataFrame]] = {
            "daily_sales": lambda: sales.daily_sales(orders),
            "rolling_sales": lambda: sales.rolling_sales(orders),
            "customer_segments": lambda: customers.customer_segments(orders, people, config),
            "customer_lifetime_value": lambda: customers.customer_lifetime_value(orders, people, config),
            "product_performance": lambda: products.product_performance(orders, config),
        }
        return [
            lambda name=name, query=query: self._overwrite_gold(name, query())  # type: ignore[misc]
            for name, query in tables.items()
        ]

    def realtime(self) -> None:
        """Windows that the watermark closes, each written once; later records are not counted."""
        parsed = self.spark.readStream.format("delta").load(self._path("silver_orders_parsed"))
        metrics = sales.realtime_metrics(kept(parsed), self.config)
        table = "gold_realtime_metrics"
        if not self._exists(table):  # a stream cannot set properties
            empty = self.spark.createDataFrame([], metrics.schema)
            self._write(table, empty, "append", self.config.get_gold_table_properties())
        (
            metrics.writeStream.format("delta")
            .outputMode("append")
            .option("checkpointLocation", str(self.home / "plain" / "realtime_metrics"))
            .trigger(availableNow=True)
            .start(self._path(table))
            .awaitTermination()
        )

    def data_quality_check(self) -> None:
        check = sales.data_quality_check(
            orders=self._read("silver_orders"),
            quarantined=self._read("quarantine_orders"),
            duplicates=self._read("silver_orders_duplicates"),
            customers=self._read("silver_customers"),
        )
        self._overwrite_gold("data_quality_check", check)

    def quality(self) -> None:
        """The rules of whole datasets, and the reconciliation of the lines."""
        properties = self.config.get_gold_table_properties()
        checks = quality_checks(pipeline_rules(PIPELINE, self.config), self._read)
        self._write(f"quality_checks_{PIPELINE}", checks, "overwrite", properties)
        entities = [
            EntityTables.of(entity, rules_for(f"silver_{entity.target}", self.config).drop, self._read)
            for entity in (ORDERS, CUSTOMER_PROFILES)
        ]
        table = f"quality_reconciliation_{PIPELINE}"
        self._write(table, reconciliation(entities), "overwrite", properties)

    # Tables ---------------------------------------------------------------------------------------------

    def _valid(self, entity: Entity) -> DataFrame:
        return kept(self._read(f"silver_{entity.target}_parsed")).drop(*HELPERS)

    def _overwrite_silver(self, entity: str, rows: DataFrame) -> None:
        self._write(f"silver_{entity}", rows, "overwrite", self.config.get_silver_table_properties())

    def _overwrite_gold(self, entity: str, rows: DataFrame) -> None:
        self._write(f"gold_{entity}", rows, "overwrite", self.config.get_gold_table_properties())

    def _write(self, table: str, rows: DataFrame, mode: str, properties: dict[str, str]) -> None:
        """Append or overwrite; the first write gives the table the properties that the pipeline declares."""
        writer = rows.write.format("delta").mode(mode)
        if not self._exists(table):
            writer = writer.options(**{k: v for k, v in properties.items() if k.startswith("delta.")})
        writer.save(self._path(table))

    def _read(self, table: str) -> DataFrame:
        return self.spark.read.format("delta").load(self._path(table))

    def _columns(self, parsed: str) -> list[str]:
        return [name for name in self._read(parsed).columns if name not in HELPERS]

    def _exists(self, table: str) -> bool:
        return (Path(self._path(table)) / "_delta_log").is_dir()

    def _path(self, table: str) -> str:
        return str(self.home / "tables" / self.config.catalog / self.config.schema / table)

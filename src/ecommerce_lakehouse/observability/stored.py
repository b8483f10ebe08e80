"""The tables of a lakehouse's schema, on Databricks and on a laptop: `stored_tables`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.config import LakehouseConfig


@dataclass(frozen=True)
class StoredTable:
    """One table. `reference` is what Spark SQL calls it; `kind` is Unity Catalog's table type."""

    name: str
    reference: str
    kind: str


def stored_tables(spark: SparkSession, config: LakehouseConfig) -> list[StoredTable]:
    """Every table of the environment's schema, sorted by name; views among them on Databricks.

    On a laptop no catalog knows the tables: each is a Delta directory, and plain Delta (MANAGED).
    """
    if config.tables_root is not None:
        folder = Path(config.tables_root) / config.catalog / config.schema
        names = sorted(log.parent.name for log in folder.glob("*/_delta_log"))
        return [StoredTable(name, reference_to(name, config), "MANAGED") for name in names]
    rows = spark.sql(
        f"SELECT table_name, table_type FROM `{config.catalog}`.information_schema.tables "
        f"WHERE table_schema = '{config.schema}' ORDER BY table_name"
    ).collect()
    return [StoredTable(row[0], reference_to(row[0], config), row[1]) for row in rows]


def reference_to(name: str, config: LakehouseConfig) -> str:
    """What Spark SQL calls the table `name` of the environment's schema, whether or not it exists."""
    if config.tables_root is not None:
        return f"delta.`{Path(config.tables_root) / config.catalog / config.schema / name}`"
    return f"`{config.catalog}`.`{config.schema}`.`{name}`"


def append_to(rows: DataFrame, name: str, config: LakehouseConfig) -> None:
    """Append rows to the table `name` of the environment's schema, which is made at the first time."""
    writer = rows.write.format("delta").mode("append")
    if config.tables_root is not None:
        writer.save(str(Path(config.tables_root) / config.catalog / config.schema / name))
    else:
        writer.saveAsTable(reference_to(name, config))

"""The SQL with which people are erased on Databricks, carried out by local Spark on Delta tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.cli.laptop import Laptop
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.observability.lakehouse import StoredTable, UnityCatalog
from ecommerce_lakehouse.privacy.erasure import erase
from ecommerce_lakehouse.privacy.unity import UnityPlace

GONE, STAYS = "O'Neil C000042", "C000043"


class Catalog(UnityCatalog):
    """Unity Catalog's queries, on the tables of a data folder. Gold is a materialized view."""

    def __init__(self, spark: SparkSession) -> None:
        super().__init__(get_config("local"), spark)
        self._tables = Laptop(self._config)

    def tables(self) -> list[StoredTable]:
        return [
            StoredTable(
                table.name,
                self.reference(table.name),
                "MATERIALIZED_VIEW" if table.name.startswith("gold_") else "STREAMING_TABLE",
            )
            for table in self._tables.tables()
        ]

    def reference(self, table: str) -> str:
        return f"delta.`{self._config.tables_root}/{self._config.catalog}/{self._config.schema}/{table}`"

    def append(self, rows: DataFrame, table: str) -> None:
        self._tables.append(rows, table)


@pytest.fixture
def catalog(spark: SparkSession, home: Path) -> Catalog:
    return Catalog(spark)


def line(customer: str | None, order: str) -> str:
    return json.dumps({"order_id": order, "customer_id": customer})


def values(catalog: Catalog, table: str, column: str) -> list[Any]:
    return sorted(row["x"] for row in catalog.rows(f"SELECT {column} AS x FROM {catalog.reference(table)}"))


@pytest.mark.slow
def test_people_go_by_sql_that_names_nobody(spark: SparkSession, catalog: Catalog) -> None:
    config = get_config("local")
    stays = line(STAYS, "ORDER00002")
    lines = [line(GONE, "ORDER00001"), line(None, "ORDER00001"), line(GONE, "ORDER00003")[:-1], stays]
    bronze = catalog.reference("bronze_orders")
    spark.sql(
        f"CREATE TABLE {bronze} (raw_line BINARY) USING delta "
        "TBLPROPERTIES ('delta.appendOnly' = 'true', 'delta.enableDeletionVectors' = 'true')"
    )
    rows = spark.createDataFrame([(bytearray(each.encode()),) for each in lines], "raw_line binary")
    rows.coalesce(1).write.format("delta").mode("append").save(bronze.split("`")[1])
    typed = [(f" {GONE} ", "ORDER00001"), (None, "ORDER00001"), (STAYS, "ORDER00002")]
    for name in ("silver_orders", "gold_orders"):
        frame = spark.createDataFrame(typed, "customer_id string, order_id string")
        frame.write.format("delta").save(catalog.reference(name).split("`")[1])
    raw = Path(config.folder_path("orders_raw")) / "a.json"
    raw.parent.mkdir(parents=True)
    raw.write_text("".join(f"{each}\n" for each in lines))

    place = UnityPlace(config, catalog, spark)

    def run() -> Any:
        return erase(config, place, frozenset({GONE}), by="ops", forgets=None, tell=lambda text: None)

    first = run()
    assert {item.what: item.rows for item in first.removed} == {
        "orders_raw/a.json": 3,
        "bronze_orders": 3,
        "silver_orders": 2,
        "gold_orders": 2,
    }
    assert raw.read_text() == f"{stays}\n"
    assert [bytes(each).decode() for each in values(catalog, "bronze_orders", "raw_line")] == [stays]
    assert values(catalog, "silver_orders", "customer_id") == [STAYS]
    (detail,) = catalog.rows(f"DESCRIBE DETAIL {bronze}")
    assert detail["properties"]["delta.appendOnly"] == "true"
    history = str(catalog.rows(f"DESCRIBE HISTORY {bronze}"))
    assert "MERGE" in history
    assert "VACUUM" in history
    assert "C000042" not in history
    # A view belongs to its pipeline: until that has computed it again, the person is found there.
    assert {(item.path, item.where) for item in first.proof.scan.findings} == {
        ("table gold_orders", "customer_id"),
        ("table gold_orders", "order_id"),
    }
    spark.sql(f"DELETE FROM {catalog.reference('gold_orders')} WHERE order_id = 'ORDER00001'")
    # As a kill before the property was set again leaves it.
    spark.sql(f"ALTER TABLE {bronze} SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    second = run()
    assert second.proof.scan.clean
    assert place.unfinished() is None
    (detail,) = catalog.rows(f"DESCRIBE DETAIL {bronze}")
    assert detail["properties"]["delta.appendOnly"] == "true"
    assert len(values(catalog, "privacy_log", "signature")) == 2

"""Maintenance of real tables: layout, retention, a table that fails, and later updates."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from integration.lab import Lab, dataset

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.observability import maintenance
from ecommerce_lakehouse.observability.health_sql import health_sql
from ecommerce_lakehouse.observability.lakehouse import StoredTable, lakehouse_of
from lakerun.spark.task_tables import lakehouse_tables
from lakerun.tables.storage import Storage
from tests.unit import health_data

ARGUMENTS = ["--environment", "local", "--catalog", "main", "--schema", "shop"]
DAY = 86_400

# Lines become rows in bronze; silver keeps one per key; gold counts; `places` is clustered.
PIPELINE = """
    @dp.table(name="bronze_orders")
    def bronze_orders():
        return spark.readStream.schema("id INT, day STRING, price INT").json(LANDING)

    dp.create_streaming_table(
        name="silver_orders", table_properties={"pipelines.autoOptimize.zOrderCols": "day,id"}
    )
    dp.create_auto_cdc_flow(
        target="silver_orders", source="bronze_orders", keys=["id"], sequence_by="price",
        stored_as_scd_type=1,
    )

    @dp.table(name="places", cluster_by=["day"])
    def places():
        return spark.readStream.table("bronze_orders").select("day", "price")

    @dp.materialized_view(name="gold_days")
    def gold_days():
        return spark.read.table("silver_orders").groupBy("day").agg(F.sum("price").alias("revenue"))
"""


@pytest.fixture
def shop(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Two updates of a small pipeline in the data folder that the settings name."""
    monkeypatch.setenv("LAKEHOUSE_HOME", str(lab.home))
    update(lab, [{"id": n, "day": f"d{n % 3}", "price": n} for n in range(6)])
    update(lab, [{"id": n, "day": "d9", "price": 100 + n} for n in range(4, 8)])
    return lab


def update(lab: Lab, rows: list[dict[str, Any]]) -> Any:
    landing = lab.arrive("landing", rows) if rows else str(lab.home / "incoming" / "landing")
    result = lab.run(PIPELINE.replace("LANDING", repr(landing)))
    assert result.state == "COMPLETED", result.error
    return result


def maintain(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    try:
        with lakehouse_tables(Storage.default()):  # as in a task
            maintenance.main(ARGUMENTS)
    except SystemExit as stop:
        return int(str(stop.code)), capsys.readouterr().out
    return 0, capsys.readouterr().out


def orphan(table: Path, name: str, days: int) -> Path:
    """A data file that no version uses, last written some days ago."""
    file = table / name
    file.write_bytes(b"left by a killed write")
    at = time.time() - days * DAY
    os.utime(file, (at, at))
    return file


def operations(lab: Lab, table: str, operation: str) -> list[dict[str, Any]]:
    found = DeltaTable(str(lab.path(table))).history()
    return [commit["operationParameters"] for commit in found if commit["operation"] == operation]


def has_something_to_optimize(spark: Any, lab: Lab) -> bool:
    """Whether the next maintenance would rewrite `places` if it had two files."""
    table = StoredTable("places", f"delta.`{lab.path('places')}`", "MANAGED")
    detail: Any = {"numFiles": 2}
    return maintenance._has_something_to_optimize(spark, table, detail)


TABLES = ("bronze_orders", "silver_orders", "places", "gold_days")


def test_maintenance_arranges_vacuums_and_logs_and_a_later_update_has_nothing_to_do(
    spark: Any, shop: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {table: shop.rows(table) for table in TABLES}
    files = len(DeltaTable(str(shop.path("bronze_orders"))).file_uris())
    assert files > 1  # else there is nothing to compact
    old, young = (orphan(shop.path("gold_days"), f"part-{days}.parquet", days) for days in (8, 6))
    (shop.path("broken") / "_delta_log").mkdir(parents=True)
    (shop.path("broken") / "_delta_log" / f"{0:020}.json").write_text("no commit", encoding="utf-8")

    code, output = maintain(capsys)

    # One table's failure is reported, and has not stopped the others.
    assert code == 1
    assert output.splitlines()[-1] == "1 of 6 tables failed: broken"
    assert {table: shop.rows(table) for table in TABLES} == before
    for table in TABLES:
        assert len(DeltaTable(str(shop.path(table))).file_uris()) == 1
    # Each table has its declared layout.
    (z_order,) = operations(shop, "silver_orders", "OPTIMIZE")
    assert json.loads(z_order["zOrderBy"]) == ["day", "id"]
    (compact,) = operations(shop, "bronze_orders", "OPTIMIZE")
    assert json.loads(compact["zOrderBy"]) == []
    (clustered,) = operations(shop, "places", "OPTIMIZE")
    assert json.loads(clustered["clusterBy"]) == ["day"]
    # The retention is 168 hours.
    assert (old.exists(), young.exists()) == (False, True)
    columns = "table_name, status, layout, files_before, files_after, files_deleted, bytes_after"
    logged = {row[0]: row[1:] for row in shop.rows("maintenance_log", columns)}
    size = sum(Path(uri).stat().st_size for uri in DeltaTable(str(shop.path("bronze_orders"))).file_uris())
    assert logged["bronze_orders"] == ("DONE", "COMPACT", files, 1, 0, size)
    assert logged["silver_orders"][:2] == ("DONE", "ZORDER BY (`day`, `id`)")
    assert logged["places"][:2] == ("DONE", "CLUSTER BY (day)")
    assert logged["gold_days"][4] == 1
    assert logged["broken"][0] == "FAILED"

    # Z-ordering and clustering rewrite a table only when there is new data.
    assert not has_something_to_optimize(spark, shop)

    # Nothing changed for the engine, streams and side tables included; then only new rows are read.
    (shop.path("broken") / "_delta_log" / f"{0:020}.json").unlink()
    (shop.path("broken") / "_delta_log").rmdir()
    assert {item.status for item in update(shop, []).datasets} == {"SKIPPED"}
    result = update(shop, [{"id": 7, "day": "d1", "price": 500}, {"id": 8, "day": "d1", "price": 8}])
    assert dataset(result, "places").rows_written == 2
    # 0..3 from the first file, 4..6 from the second, 7 and 8 from the third.
    expected = [(0, "d0", 0), (1, "d1", 1), (2, "d2", 2), (3, "d0", 3), (4, "d9", 104), (5, "d9", 105)]
    expected += [(6, "d9", 106), (7, "d1", 500), (8, "d1", 8)]
    assert shop.rows("silver_orders", "id, day, price") == sorted(expected, key=repr)
    assert ("d1", 509) in shop.rows("gold_days", "day, revenue")
    assert has_something_to_optimize(spark, shop)


# The SQL of health in Spark --------------------------------------------------------------------------


def test_the_health_queries_answer_in_spark_as_without(spark: Any, lab: Lab) -> None:
    from lakerun.sql.in_spark import query_in_spark
    from lakerun.sql.query import query
    from lakerun.tables.arrow_rows import rows_of

    health_data.fortnight(lab.storage)
    periods = (health_data.march(1, 12), health_data.march(8, 12), health_data.NOW)
    for name in ("updates", "expectations", "datasets"):
        sql = health_sql(name, "local.data_eng.pipeline_events", *periods)
        quick, in_spark = query(sql, lab.storage), query_in_spark(sql, lab.storage, spark)
        assert quick.column_names == in_spark.column_names
        assert sorted(rows_of(quick), key=repr) == sorted(rows_of(in_spark), key=repr)
        assert quick.num_rows >= 2


def test_the_cost_is_the_list_price_of_the_pipelines_usage(spark: Any) -> None:
    """The billing query on stand-ins for the two system tables, in Spark."""
    spark.sql(
        "SELECT 'id-a' AS pipeline_id, 'a' AS pipeline_name, null AS timestamp, null AS level, "
        "null AS message, null AS event_type, null AS details, null AS update_id, null AS dataset_name"
    ).createOrReplaceTempView("some_events")
    usage = [
        ("id-a", 2.0, "2024-03-10 10:00:00"),  # current period, the dearer price
        ("id-a", 3.0, "2024-03-05 10:00:00"),  # previous period, the earlier price
        ("id-a", 9.0, "2024-02-20 10:00:00"),  # before both
        ("id-other", 7.0, "2024-03-10 10:00:00"),
    ]
    prices = [(0.25, "2024-01-01 00:00:00", "2024-03-08 00:00:00"), (0.5, "2024-03-08 00:00:00", None)]
    spark.createDataFrame(usage, "id string, quantity double, at string").selectExpr(
        "named_struct('dlt_pipeline_id', id) AS usage_metadata", "quantity AS usage_quantity",
        "'DLT' AS sku_name", "'AWS' AS cloud", "timestamp(at) AS usage_end_time",
    ).createOrReplaceTempView("billed_usage")  # fmt: skip
    spark.createDataFrame(prices, "price double, start string, end string").selectExpr(
        "named_struct('effective_list', named_struct('default', price)) AS pricing",
        "'DLT' AS sku_name", "'AWS' AS cloud", "timestamp(start) AS price_start_time",
        "timestamp(end) AS price_end_time",
    ).createOrReplaceTempView("billed_prices")  # fmt: skip
    sql = health_sql("cost", "some_events", health_data.march(1), health_data.march(8), health_data.NOW)
    sql = sql.replace("system.billing.usage", "billed_usage")
    sql = sql.replace("system.billing.list_prices", "billed_prices")
    assert {row["period"]: row["usd"] for row in spark.sql(sql).collect()} == {
        "current": 1.0,
        "previous": 0.75,
    }


def test_the_laptop_finds_its_tables_by_folder(spark: Any, home: Path) -> None:
    health_data.fortnight(health_data.Storage(home))
    found = lakehouse_of(get_config("local")).tables()
    assert [(table.name, table.kind) for table in found] == [
        ("event_log_medallion_dlt_pipeline", "MANAGED"),
        ("event_log_ml_features_pipeline", "MANAGED"),
        ("pipeline_events", "VIEW"),
    ]
    with lakehouse_tables(Storage(home)):
        counts = [spark.table(table.reference).count() for table in found]
        # Of the other pipeline: three events of its update, one definition, one flow.
        assert counts[1] == 5
        assert counts[2] == counts[0] + 5
        in_sql = spark.sql(f"SELECT count(*) FROM {found[2].reference} AS events").collect()[0][0]
    assert in_sql == counts[2]

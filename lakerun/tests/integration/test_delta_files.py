"""Tables that are read and written as files are the same for Spark's own Delta."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chispa import assert_df_equality
from deltalake import DeltaTable, Schema
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lakerun.errors import LakerunError
from lakerun.sql.query import query
from lakerun.tables import delta_files
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.delta_files import read_table, write_table
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage, TableName

COLUMNS = "order_id STRING, price DECIMAL(10,2), ordered_at TIMESTAMP, tags ARRAY<STRING>"
LONG = "x" * 40


@pytest.fixture
def orders(spark: SparkSession) -> Callable[[int, int], DataFrame]:
    """Orders with the numbers of a range, in two files; the price is the number plus 0.5."""

    def made(first: int, after: int) -> DataFrame:
        return spark.range(first, after, 1, 2).selectExpr(
            "concat('ORD-', id) AS order_id",
            "CAST(id + 0.5 AS DECIMAL(10,2)) AS price",
            "timestamp_seconds(1767225600 + 60 * id) + INTERVAL 1 MICROSECOND AS ordered_at",
            f"array('{LONG}') AS tags",
        )

    return made


def _create(path: Path, columns: str = COLUMNS, **options: Any) -> Path:
    schema = Schema.from_json(StructType.fromDDL(columns).json())
    options.setdefault("configuration", {"delta.enableDeletionVectors": "true"})
    DeltaTable.create(str(path), schema=schema, **options)
    return path


def _numbers(rows: DataFrame) -> list[int]:
    return sorted(int(row.order_id.removeprefix("ORD-")) for row in rows.collect())


def _by_spark(path: Path) -> bool:
    """Whether the newest commit is one of Spark's Delta."""
    return "spark" in str(DeltaTable(str(path)).history(1)[0].get("engineInfo", "")).lower()


def test_spark_reads_what_was_appended_and_overwritten(
    spark: SparkSession, orders: Callable[[int, int], DataFrame], tmp_path: Path
) -> None:
    table = _create(tmp_path / "orders of 2026*")  # a folder's name is not a pattern
    write_table(orders(0, 10), table, "append")
    write_table(orders(10, 13), table, "append")
    assert_df_equality(
        read_table(spark.read, table), orders(0, 13), ignore_row_order=True, ignore_nullable=True
    )
    by_delta = spark.read.format("delta").load(str(table))
    assert_df_equality(by_delta, orders(0, 13), ignore_row_order=True, ignore_nullable=True)
    write_table(orders(20, 21), table, "overwrite")
    assert _numbers(read_table(spark.read, table)) == [20]
    assert _numbers(spark.read.option("versionAsOf", 1).format("delta").load(str(table))) == [*range(10)]
    assert _numbers(read_table(spark.read.option("versionAsOf", 2), table)) == [*range(13)]
    commits = Table(table).history()
    assert [int(commit["metrics"].get("numOutputRows", 0)) for commit in commits] == [1, 3, 10, 0]
    assert [int(commit["metrics"].get("numFiles", 0)) for commit in commits] == [1, 2, 2, 0]
    assert not list(table.glob("staged-*"))


def test_bounds_in_the_log_do_not_hide_rows_from_a_filter(
    spark: SparkSession, orders: Callable[[int, int], DataFrame], tmp_path: Path
) -> None:
    table = _create(tmp_path / "orders")
    write_table(orders(0, 10), table, "append")
    rows = spark.read.format("delta").load(str(table))
    assert _numbers(rows.where("price = 7.5")) == [7]
    assert _numbers(rows.where("ordered_at = TIMESTAMP '2026-01-01 00:09:00.000001'")) == [9]
    assert _numbers(rows.where("order_id = 'ORD-4'")) == [4]
    assert len(rows.inputFiles()) == 2
    assert len(rows.where("price = 7.5").inputFiles()) == 1
    assert rows.where("price > 100").inputFiles() == []


def test_a_missing_file_is_an_error(
    spark: SparkSession, orders: Callable[[int, int], DataFrame], tmp_path: Path
) -> None:
    table = _create(tmp_path / "orders")
    write_table(orders(0, 10), table, "append")
    next(table.glob("*.parquet")).unlink()
    with pytest.raises(Exception, match=r"(?i)not exist|not found"):
        read_table(spark.read, table).collect()


def test_a_transaction_is_committed_only_once(
    spark: SparkSession, orders: Callable[[int, int], DataFrame], tmp_path: Path
) -> None:
    table = _create(tmp_path / "orders")
    for _ in range(2):
        write_table(orders(0, 3), table, "append", transaction=("flow", 0))
    write_table(orders(3, 4), table, "append", transaction=("flow", 1))
    write_table(orders(4, 5), table, "append", transaction=("other", 0))
    assert _numbers(read_table(spark.read, table)) == [0, 1, 2, 3, 4]
    assert DeltaTable(str(table)).transaction_version("flow") == 1


def test_a_null_in_a_required_column_fails_without_a_commit(
    spark: SparkSession, orders: Callable[[int, int], DataFrame], tmp_path: Path
) -> None:
    table = _create(tmp_path / "orders", COLUMNS.replace("order_id STRING", "order_id STRING NOT NULL"))
    write_table(orders(0, 2), table, "append")
    missing = orders(2, 4).selectExpr("nullif(order_id, 'ORD-3') AS order_id", "price", "ordered_at", "tags")
    with pytest.raises(Exception, match="NOT NULL constraint violated for column: order_id"):
        write_table(missing, table, "overwrite")
    assert _numbers(read_table(spark.read, table)) == [0, 1]
    assert not list(table.glob("staged-*"))


def test_features_of_sparks_delta_only_go_through_it(
    spark: SparkSession, orders: Callable[[int, int], DataFrame], tmp_path: Path
) -> None:
    plain = _create(tmp_path / "plain")
    write_table(orders(0, 2), plain, "append")
    assert not _by_spark(plain)
    # A new column.
    write_table(orders(2, 3).selectExpr("*", "1 AS extra"), plain, "append")
    assert _by_spark(plain)
    assert [
        (row.order_id, row.extra) for row in read_table(spark.read, plain).orderBy("order_id").collect()
    ] == [
        ("ORD-0", None),
        ("ORD-1", None),
        ("ORD-2", 1),
    ]
    write_table(orders(5, 6), plain, "overwrite")  # without the column again
    assert "extra" not in read_table(spark.read, plain).columns
    # Deletion vectors: of two rows in a file, one.
    spark.sql(f"INSERT INTO delta.`{plain}` SELECT /*+ COALESCE(1) */ * FROM {{rows}}", rows=orders(6, 8))
    spark.sql(f"DELETE FROM delta.`{plain}` WHERE order_id = 'ORD-7'")
    assert _numbers(read_table(spark.read, plain)) == [5, 6]
    write_table(orders(8, 9), plain, "append")
    assert not _by_spark(plain)
    assert _numbers(read_table(spark.read, plain)) == [5, 6, 8]
    write_table(orders(9, 10), plain, "overwrite")
    assert _by_spark(plain)
    assert _numbers(read_table(spark.read, plain)) == [9]
    # A constraint, and partitions.
    held = _create(tmp_path / "held")
    spark.sql(f"ALTER TABLE delta.`{held}` ADD CONSTRAINT cheap CHECK (price < 100)")
    with pytest.raises(Exception, match=r"(?i)cheap"):
        write_table(orders(99, 101), held, "append")
    parted = _create(tmp_path / "parted", partition_by=["order_id"])
    write_table(orders(0, 2), parted, "append")
    assert _by_spark(parted)
    assert _numbers(read_table(spark.read, parted)) == [0, 1]


def test_spark_can_merge_into_and_vacuum_what_was_written_as_files(
    spark: SparkSession, orders: Callable[[int, int], DataFrame], tmp_path: Path
) -> None:
    table = _create(tmp_path / "orders")
    write_table(orders(0, 4), table, "append")
    left = table / "staged-of-a-killed-process"
    left.mkdir()
    shutil.copy(next(table.glob("*.parquet")), left / "left.parquet")
    orders(3, 6).createOrReplaceTempView("news")
    spark.sql(
        f"MERGE INTO delta.`{table}` t USING news s ON t.order_id = s.order_id "
        "WHEN MATCHED THEN UPDATE SET price = 0 WHEN NOT MATCHED THEN INSERT *"
    )
    prices = {row.order_id: float(row.price) for row in read_table(spark.read, table).collect()}
    assert prices == {"ORD-0": 0.5, "ORD-1": 1.5, "ORD-2": 2.5, "ORD-3": 0.0, "ORD-4": 4.5, "ORD-5": 5.5}
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        spark.sql(f"VACUUM delta.`{table}` RETAIN 0 HOURS")
    finally:
        spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    assert not (left / "left.parquet").exists()
    assert _numbers(read_table(spark.read, table)) == [0, 1, 2, 3, 4, 5]


def test_a_concurrent_commit_is_not_overwritten(
    spark: SparkSession,
    orders: Callable[[int, int], DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = _create(tmp_path / "orders")
    staged = delta_files._added

    def slowly(file: Path, path: Path) -> Any:
        monkeypatch.setattr(delta_files, "_added", staged)
        write_table(orders(0, 1), table, "overwrite")
        return staged(file, path)

    monkeypatch.setattr(delta_files, "_added", slowly)
    with pytest.raises(LakerunError, match=r"Another process has changed .*orders .* Run it again"):
        write_table(orders(1, 2), table, "overwrite")
    assert _numbers(read_table(spark.read, table)) == [0]


def test_a_required_field_of_a_struct_is_checked(spark: SparkSession, tmp_path: Path) -> None:
    table = _create(tmp_path / "orders", "buyer STRUCT<customer_id: STRING NOT NULL>")
    write_table(spark.sql("SELECT named_struct('customer_id', 'CUST-1') AS buyer"), table, "append")
    assert _by_spark(table)
    with pytest.raises(Exception, match="NOT NULL"):
        write_table(
            spark.sql("SELECT named_struct('customer_id', nullif('x', 'x')) AS buyer"), table, "append"
        )
    assert read_table(spark.read, table).schema["buyer"].dataType == StructType.fromDDL(
        "customer_id STRING NOT NULL"
    )


def test_a_table_that_delta_rs_cannot_commit_to_goes_through_spark(
    spark: SparkSession, orders: Callable[[int, int], DataFrame], tmp_path: Path
) -> None:
    table = _create(tmp_path / "orders")
    spark.sql(
        f"ALTER TABLE delta.`{table}` SET TBLPROPERTIES ('delta.feature.vacuumProtocolCheck' = 'supported')"
    )
    write_table(orders(0, 2), table, "append")
    assert _by_spark(table)
    assert _numbers(read_table(spark.read, table)) == [0, 1]


def test_rows_that_spark_deleted_are_neither_read_nor_counted_without_spark(
    spark: SparkSession, tmp_path: Path
) -> None:
    storage = Storage(tmp_path)
    name = TableName("c", "s", "numbers")
    path = _create(storage.table_path(name), "id BIGINT")
    spark.range(1000).coalesce(1).write.format("delta").mode("append").save(str(path))
    spark.sql(f"DELETE FROM delta.`{path}` WHERE id % 10 = 0")
    log = "".join(file.read_text() for file in (path / "_delta_log").glob("*.json"))
    assert '"deletionVector"' in log  # otherwise this test would test nothing

    assert Table.named(storage, name).figures().rows == 900
    assert rows_of(query("SELECT count(*), min(id) FROM numbers", storage)) == [(900, 1)]
    assert len(rows_of(query("SELECT * FROM numbers", storage))) == 900

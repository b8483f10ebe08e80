"""The queries of src/sql on an event log whose figures are known, without Spark and in Spark."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from unit import cli_data

from lakerun.sql.in_spark import query_in_spark
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage
from tests.unit.shop_data import lakehouse_tables

ROOT = Path(__file__).parents[2]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A data folder with four orders and the events of two updates."""
    storage = Storage(tmp_path)
    lakehouse_tables(storage)
    return storage


def answers(name: str, storage: Storage, spark: SparkSession) -> list[tuple[Any, ...]]:
    """The rows of a query, by the names of its columns, which are the same in Spark."""
    sql = (ROOT / "src/sql" / name).read_text(encoding="utf-8")
    quick, in_spark = query(sql, storage), query_in_spark(sql, storage, spark)
    assert quick.column_names == in_spark.column_names
    assert rows_of(quick) == rows_of(in_spark)
    return [tuple(quick.column_names), *rows_of(quick)]


def test_the_updates_query_gives_state_and_duration(spark: SparkSession, storage: Storage) -> None:
    u2_start, u2_end = (
        datetime(2024, 3, 1, 12, 16, 40, tzinfo=UTC),
        datetime(2024, 3, 1, 12, 17, 10, tzinfo=UTC),
    )
    u1_end = datetime(2024, 3, 1, 12, 2, 30, tzinfo=UTC)
    assert answers("pipeline_updates.sql", storage, spark) == [
        (
            "pipeline_name",
            "update_id",
            "state",
            "start_time",
            "end_time",
            "duration_minutes",
            "duration_seconds",
        ),
        ("medallion_dlt_pipeline", "u2", "FAILED", u2_start, u2_end, 0, 30),
        ("medallion_dlt_pipeline", "u1", "COMPLETED", cli_data.START, u1_end, 2, 150),
    ]


def test_the_expectations_query_adds_up_the_batches_of_an_update(
    spark: SparkSession, storage: Storage
) -> None:
    # 10 of 100 and 5 of 50 rows broke valid_price; valid_quantity held.
    last = datetime(2024, 3, 1, 12, 0, 40, tzinfo=UTC)
    found = answers("expectation_failures.sql", storage, spark)[1:]
    assert found == [(last, "u1", "silver_orders", "valid_price", 15, 150, 10.0)]

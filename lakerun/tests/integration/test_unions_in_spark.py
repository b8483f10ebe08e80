"""A plugin's union in the code of a task: statements and reads in Spark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812
from weather import station, weather

from lakerun.spark.task_tables import lakehouse_tables
from lakerun.tables.storage import Storage

READINGS = "shop.north.readings"


@pytest.fixture
def storage(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """Two stations, within a task; their folder's name has a backtick."""
    with weather(tmp_path / "o`clock", monkeypatch) as found:
        station(found, "alm", [1, 2])
        station(found, "bay", [40])
        with lakehouse_tables(found):
            yield found


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT readings.rain FROM {READINGS} WHERE readings.place = 'bay'",
        f"SELECT r.rain FROM {READINGS} AS r WHERE r.place = 'bay'",
        f"SELECT r.rain FROM {READINGS} r, {READINGS} WHERE r.place = 'bay' AND readings.rain = 1",
        f"SELECT max(readings.rain) FROM {READINGS} LEFT JOIN {READINGS} AS s ON s.day = readings.day",
        f"WITH wet AS (SELECT * FROM {READINGS}) SELECT rain FROM wet WHERE place = 'bay'",
    ],
)
def test_columns_may_be_qualified_by_its_name_or_its_alias(spark: SparkSession, statement: str) -> None:
    assert [tuple(row) for row in spark.sql(statement).collect()] == [(40,)]


@pytest.mark.usefixtures("storage")
def test_it_can_be_read_by_its_name(spark: SparkSession) -> None:
    rows = spark.table(READINGS).where(F.col("readings.rain") > 1).orderBy("rain").collect()
    assert [(row.place, row.rain) for row in rows] == [("alm", 2), ("bay", 40)]


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("words", ["DESCRIBE", "desc table", "DESCRIBE EXTENDED"])
def test_it_is_described(spark: SparkSession, words: str) -> None:
    rows = spark.sql(f"{words} {READINGS}").collect()
    assert [(row.col_name, row.data_type) for row in rows] == [
        ("day", "bigint"),
        ("place", "string"),
        ("rain", "bigint"),
    ]


@pytest.mark.usefixtures("storage")
def test_it_is_listed(spark: SparkSession) -> None:
    rows = spark.sql("SHOW TABLES IN shop.north").collect()
    assert [(row.database, row.tableName) for row in rows] == [
        ("north", "readings"),
        ("north", "station_alm"),
        ("north", "station_bay"),
    ]

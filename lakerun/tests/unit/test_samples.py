"""The catalog `samples`, with rows that are invented: made when it is first named, and read only."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakerun.errors import LakerunError, UnknownNameError
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.delta_table import Table
from lakerun.tables.samples import check_writable
from lakerun.tables.storage import Storage, TableName

TRIPS = TableName("samples", "nyctaxi", "trips")


def test_the_taxi_trips_have_the_documented_columns(storage: Storage) -> None:
    columns = [(column.name, column.type) for column in Table.named(storage, TRIPS).columns]
    assert columns == [
        ("tpep_pickup_datetime", "timestamp"),
        ("tpep_dropoff_datetime", "timestamp"),
        ("trip_distance", "double"),
        ("fare_amount", "double"),
        ("pickup_zip", "int"),
        ("dropoff_zip", "int"),
    ]


def test_they_are_made_only_when_they_are_named(storage: Storage) -> None:
    before = storage.tables()
    assert TRIPS not in before
    assert ("samples", "nyctaxi", "trips") in rows_of(query("SHOW TABLES IN samples.nyctaxi", storage))
    assert storage.tables() == [*before, TRIPS]
    assert [path.name for path in storage.home.iterdir() if path.name.startswith(".sample")] == []


def test_every_laptop_has_the_same_plausible_trips(storage: Storage) -> None:
    sql = """
        SELECT count(*), min(tpep_pickup_datetime) >= '2016-01-01', max(tpep_pickup_datetime) < '2016-03-01',
            count_if(tpep_dropoff_datetime <= tpep_pickup_datetime), min(fare_amount) >= 2.5,
            count_if(pickup_zip NOT BETWEEN 10001 AND 11697)
        FROM samples.nyctaxi.trips"""
    assert rows_of(query(sql, storage)) == [(2000, True, True, 0, True, 0)]
    first = rows_of(query("SELECT * FROM samples.nyctaxi.trips ORDER BY 1 LIMIT 1", storage))
    assert first == [FIRST]


@pytest.mark.parametrize("name", ["samples.tpch.orders", "samples.bakehouse.sales_customers"])
def test_another_sample_is_refused_with_what_there_is(storage: Storage, name: str) -> None:
    with pytest.raises(LakerunError, match=r"Valid:.*samples\.nyctaxi\.trips"):
        query(f"SELECT * FROM {name}", storage)
    with pytest.raises(UnknownNameError, match=r"Valid: samples\.nyctaxi\.trips\."):
        storage.table_path(TableName(*name.split(".")))


def test_nothing_writes_to_the_samples() -> None:
    with pytest.raises(LakerunError, match=r"^The catalog 'samples' can only be read: "):
        check_writable("Samples")
    check_writable("main")


FIRST = (
    datetime(2016, 1, 1, 1, 5, 44, tzinfo=UTC),
    datetime(2016, 1, 1, 1, 9, 31, tzinfo=UTC),
    0.73,
    5.0,
    10016,
    10023,
)

"""One relation over all tables of a schema that share a prefix, as an installed plugin declares it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from weather import station, weather

from lakerun import plugins
from lakerun.errors import LakerunError, UnknownNameError
from lakerun.spark.names import TaskTables, prepared
from lakerun.sql.errors import SqlError
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage, TableName

BY_PLACE = "SELECT place, sum(rain) AS rain FROM readings GROUP BY place ORDER BY place"


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """An empty data folder, and a plugin with a union of the tables `station_*`."""
    with weather(tmp_path, monkeypatch) as found:
        yield found


def rows(sql: str, storage: Storage, **options: Any) -> list[tuple[Any, ...]]:
    return rows_of(query(sql, storage, **options))


def test_the_relation_includes_tables_that_are_created_later(storage: Storage) -> None:
    station(storage, "alm", [1, 2])
    assert rows(BY_PLACE, storage) == [("alm", 3)]
    station(storage, "bay", [40])
    assert rows(BY_PLACE, storage) == [("alm", 3), ("bay", 40)]


def test_columns_are_matched_by_name_in_any_order(storage: Storage) -> None:
    station(storage, "alm", [1])
    other = {"note": ["x"], "rain": [5], "origin": [{"height": 9, "place": "cliff"}], "day": [0]}
    path = storage.table_path(TableName("shop", "north", "station_cliff"))
    write_deltalake(str(path), pa.table(other))
    assert rows(BY_PLACE, storage) == [("alm", 1), ("cliff", 5)]


@pytest.mark.parametrize(
    "name", ["readings", "north.readings", "shop.north.readings", "`shop`.`north`.READINGS"]
)
def test_it_is_named_as_a_table_is(storage: Storage, name: str) -> None:
    station(storage, "alm", [1, 2])
    assert rows(f"SELECT max(rain) AS most FROM {name}", storage) == [(2,)]
    joined = f"SELECT r.rain FROM {name} AS r INNER JOIN {name} AS s ON s.day = r.day + 1"
    assert rows(joined, storage) == [(1,)]
    assert rows(f"WITH wet AS (SELECT * FROM {name}) SELECT count(*) AS n FROM wet", storage) == [(2,)]


def test_columns_may_be_qualified_by_its_name(storage: Storage) -> None:
    station(storage, "alm", [7])
    assert rows("SELECT readings.rain FROM shop.north.readings WHERE readings.day = 0", storage) == [(7,)]


def test_the_default_schema_decides_between_two(storage: Storage) -> None:
    station(storage, "alm", [1])
    station(storage, "bay", [2], "shop.south")
    assert rows(BY_PLACE, storage, catalog="shop", schema="south") == [("bay", 2)]
    assert rows("SELECT place FROM north.readings", storage) == [("alm",)]
    with pytest.raises(LakerunError, match=r"ambiguous: shop\.north\.readings, shop\.south\.readings"):
        rows(BY_PLACE, storage)


def test_without_a_table_the_error_says_what_is_missing(storage: Storage) -> None:
    with pytest.raises(LakerunError, match=r"no table 'station_\*'\. Run a pipeline first") as stop:
        rows(BY_PLACE, storage)
    assert "\n" not in str(stop.value)
    station(storage, "alm", [1])
    with pytest.raises(LakerunError, match=r"no table 'station_\*' in shop\.south\."):
        rows("SELECT * FROM shop.south.readings", storage)


def test_a_table_with_only_a_similar_name_hides_no_other(storage: Storage) -> None:
    station(storage, "alm", [1])
    path = storage.table_path(TableName("shop", "north", "station_notes"))
    write_deltalake(str(path), pa.table({"note": ["not a station"]}))
    broken = storage.table_path(TableName("shop", "north", "station_broken")) / "_delta_log"
    broken.mkdir(parents=True)
    (broken / f"{0:020}.json").write_text("no commit", encoding="utf-8")
    assert rows(BY_PLACE, storage) == [("alm", 1)]


def test_a_table_of_its_name_comes_first(storage: Storage) -> None:
    station(storage, "alm", [1])
    path = storage.table_path(TableName("shop", "north", "readings"))
    write_deltalake(str(path), pa.table({"place": ["stored"], "rain": [8]}))
    assert rows(BY_PLACE, storage) == [("stored", 8)]


def test_it_has_no_versions_and_an_unknown_column_is_named(storage: Storage) -> None:
    station(storage, "alm", [1])
    with pytest.raises(SqlError, match="'readings' has no versions"):
        rows("SELECT * FROM readings VERSION AS OF 0", storage)
    with pytest.raises(SqlError, match="column 'wind'"):
        rows("SELECT wind FROM readings", storage)


def test_it_is_known_only_with_its_plugin(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    station(storage, "alm", [1])
    monkeypatch.setenv(plugins.CHOSEN, "")
    with pytest.raises((UnknownNameError, SqlError), match="table 'readings'"):
        rows(BY_PLACE, storage)


def test_a_task_finds_it_in_a_statement_of_spark(storage: Storage) -> None:
    station(storage, "alm", [1])
    station(storage, "bay", [2])
    alm, bay = (storage.table_path(TableName("shop", "north", f"station_{name}")) for name in ("alm", "bay"))
    assert prepared(
        "SELECT * FROM shop.north.readings WHERE rain > 1", TaskTables(storage), lambda _: False
    ) == (
        f"SELECT * FROM ((SELECT day, origin.place AS place, rain FROM delta.`{alm}` UNION ALL "
        f"SELECT day, origin.place AS place, rain FROM delta.`{bay}`) AS `readings`) WHERE rain > 1"
    )
    # Other names of the catalog are left to Spark.
    assert (
        prepared("SELECT * FROM shop.north.winds", TaskTables(storage), lambda _: False)
        == "SELECT * FROM shop.north.winds"
    )


def test_it_is_listed_like_a_view_if_it_has_tables(storage: Storage) -> None:
    station(storage, "alm", [1])
    station(storage, "bay", [2], "shop.south")
    write_deltalake(str(storage.table_path(TableName("shop", "south", "readings"))), pa.table({"rain": [8]}))
    write_deltalake(str(storage.table_path(TableName("shop", "west", "winds"))), pa.table({"wind": [3]}))
    assert rows("SHOW TABLES", storage) == [
        ("shop", "north", "readings"),
        ("shop", "north", "station_alm"),
        ("shop", "south", "readings"),  # a table, which is listed once
        ("shop", "south", "station_bay"),
        ("shop", "west", "winds"),
    ]
    assert rows("SHOW TABLES IN shop.west", storage) == [("shop", "west", "winds")]


def test_it_is_described_with_its_columns_and_its_query(storage: Storage) -> None:
    station(storage, "alm", [1])
    columns = [("day", "bigint", ""), ("place", "string", ""), ("rain", "bigint", "")]
    assert rows("DESCRIBE readings", storage) == columns
    assert rows("DESCRIBE TABLE EXTENDED shop.north.readings", storage) == [
        *columns,
        ("", "", ""),
        ("# Detailed Table Information", "", ""),
        ("Catalog", "shop", ""),
        ("Database", "north", ""),
        ("Table", "readings", ""),
        ("Type", "VIEW", ""),
        ("View Text", "SELECT day, origin.place AS place, rain FROM `shop`.`north`.`station_alm`", ""),
    ]
    with pytest.raises(SqlError, match="'readings' has no versions"):
        rows("DESCRIBE HISTORY readings", storage)


def test_names_may_have_backticks(storage: Storage) -> None:
    station(storage, "o`clock", [5], "shop.no`rth")
    assert rows("SELECT place, rain FROM readings", storage) == [("o`clock", 5)]

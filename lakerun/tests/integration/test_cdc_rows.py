"""The rows that follow from changes, on small examples: ties, NULLs, deletes, and types without an order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from lakerun.pipelines.cdc_rows import comparable, current, history, later, of_keys, same, widened
from lakerun.pipelines.definitions import AutoCdc

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

END = "__sequence INT, __deleted BOOLEAN"


def cdc(*keys: str, **settings: Any) -> AutoCdc:
    return AutoCdc(source="changes", keys=keys or ("id",), sequence_by="at", **settings)


def changes(spark: SparkSession, schema: str, rows: Sequence[tuple[Any, ...]]) -> DataFrame:
    return spark.createDataFrame(list(rows), f"{schema}, {END}")


def rows_of(rows: DataFrame) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in rows.collect()), key=repr)


def test_the_newest_change_of_a_key_counts(spark: SparkSession) -> None:
    given = [
        (1, "old", 1, False), (1, "new", 3, False), (1, "late", 2, False),
        (2, "put", 5, False), (2, None, 5, True),  # of equal sequences the delete is the later one
        (3, None, 4, False), (3, "b", 4, False), (3, "a", 4, False),  # else the greatest value
        (None, "x", 1, False), (None, "y", 2, False),
    ]  # fmt: skip
    found = current(changes(spark, "id INT, name STRING", given), cdc())
    assert found.columns == ["id", "name", "__sequence", "__deleted"]
    assert rows_of(found) == [
        (1, "new", 3, False),
        (2, None, 5, True),
        (3, "b", 4, False),
        (None, "y", 2, False),
    ]


def test_ties_are_decided_by_columns_in_the_order_of_their_names(spark: SparkSession) -> None:
    given = [(1, 1, 2, 7, False), (1, 2, 1, 7, False)]
    assert rows_of(current(changes(spark, "id INT, `b` INT, `A` INT", given), cdc())) == [(1, 1, 2, 7, False)]
    assert rows_of(current(changes(spark, "id INT, `a_` INT, `AB` INT", given), cdc())) == [
        (1, 2, 1, 7, False)
    ]


def test_names_may_have_any_character_and_keys_several_columns(spark: SparkSession) -> None:
    given = [(1, "a", 5, 1, False), (1, "a", 6, 2, False), (1, None, 7, 1, False)]
    rows = changes(spark, "`the.id` INT, `a``b` STRING, `n m` INT", given)
    settings = cdc("THE.ID", "a`b", scd_type=2)
    assert rows_of(current(rows, settings)) == [(1, "a", 6, 2, False), (1, None, 7, 1, False)]
    assert rows_of(history(rows, settings, ["the.id", "a`b", "n m"])) == [
        (1, "a", 5, 1, 2),
        (1, "a", 6, 2, None),
        (1, None, 7, 1, None),
    ]


def test_maps_are_compared_as_json_wherever_they_are(spark: SparkSession) -> None:
    schema = "id INT, plain MAP<STRING, INT>, inner STRUCT<m: MAP<STRING, INT>>, many ARRAY<MAP<STRING, INT>>"
    one, two = ({"k": 1}, ({"k": 1},), [{"k": 1}]), ({"k": 2}, ({"k": 1},), [{"k": 1}])
    rows = changes(spark, schema, [(1, *one, 1, False), (1, *two, 1, False), (1, *two, 2, False)])
    assert [row.plain for row in current(rows, cdc()).collect()] == [{"k": 2}]
    versions = history(rows, cdc(scd_type=2), ["id", "plain", "inner", "many"]).collect()
    assert [(row.plain, row["__START_AT"], row["__END_AT"]) for row in versions] == [({"k": 2}, 1, None)]


def test_variants_have_an_order_as_json(spark: SparkSession) -> None:
    rows = spark.sql(
        "SELECT 1 AS id, parse_json(v) AS v, ARRAY(parse_json(v)) AS many, 1 AS __sequence, "
        "false AS __deleted "
        "FROM VALUES ('{\"a\": 1}'), ('{\"a\": 3}'), ('{\"a\": 2}') AS t(v)"
    )
    assert [row.v.toPython() for row in current(rows, cdc()).collect()] == [{"a": 3}]


@pytest.mark.parametrize(
    ("kind", "is_json"),
    [("INT", False), ("ARRAY<INT>", False), ("STRUCT<a: INT>", False), ("MAP<INT, INT>", True)],
)
def test_only_what_has_no_order_becomes_json(spark: SparkSession, kind: str, is_json: bool) -> None:
    rows = spark.createDataFrame([], f"v {kind}")
    found = rows.select(comparable(rows.v, rows.schema["v"].dataType).alias("v")).schema["v"].dataType
    assert (found.simpleString() == "string") == is_json


def test_a_value_gets_the_fields_that_the_table_has(spark: SparkSession) -> None:
    given = (
        "v STRUCT<B: STRUCT<x: INT>, new: INT>, many ARRAY<STRUCT<x: INT>>, named MAP<STRING, STRUCT<x: INT>>"
    )
    table = "v STRUCT<a: INT, b: STRUCT<x: INT, y: INT>>, many ARRAY<STRUCT<x: INT, y: INT>>, "
    table += "named MAP<STRING, STRUCT<y: INT, x: INT>>"
    rows = spark.createDataFrame([(((1,), 2), [(3,), None], {"k": (4,)}), (None, None, None)], given)
    own, wider = rows.schema, spark.createDataFrame([], table).schema
    found = rows.select(*[widened(rows[f.name], f.dataType, wider[f.name].dataType) for f in own])
    assert [tuple(row) for row in found.collect()] == [
        ((None, (1, None), 2), [(3, None), None], {"k": (None, 4)}),
        (None, None, None),
    ]
    kind = found.schema[0].dataType.simpleString()
    assert kind == "struct<a:int,b:struct<x:int,y:int>,new:int>"


def test_a_version_ends_where_the_next_or_a_delete_begins(spark: SparkSession) -> None:
    given = [
        (1, "a", "x", 1, False), (1, "a", "x", 2, False), (1, "b", "x", 3, False), (1, None, None, 5, True),
        (1, None, None, 6, True), (1, "b", "x", 8, False),
        (2, None, None, 1, True), (2, None, None, 4, False), (2, None, "y", 5, False),
    ]  # fmt: skip
    found = history(changes(spark, "id INT, name STRING, city STRING", given), cdc(), ["city", "id", "name"])
    assert found.columns == ["city", "id", "name", "__START_AT", "__END_AT"]
    assert rows_of(found) == [
        ("x", 1, "a", 1, 3),
        ("x", 1, "b", 3, 5),
        ("x", 1, "b", 8, None),
        ("y", 2, None, 5, None),
        (None, 2, None, 4, 5),
    ]


@pytest.mark.parametrize(
    ("tracking", "expected"),
    [
        # Only a change of the name makes a version, which has the newest city.
        ({"track_history": ("NAME",)}, [(1, "a", "z", 1, 4), (1, "b", "z", 4, None)]),
        ({"track_history_except": ("City",)}, [(1, "a", "z", 1, 4), (1, "b", "z", 4, None)]),
        # The name that changed with nothing tracked is that of the newest change.
        ({"track_history": ("city",)}, [(1, "a", "x", 1, 2), (1, "a", "y", 2, 3), (1, "b", "z", 3, None)]),
    ],
)
def test_only_tracked_columns_make_versions(
    spark: SparkSession, tracking: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    given = [
        (1, "a", "x", 1, False),
        (1, "a", "y", 2, False),
        (1, "a", "z", 3, False),
        (1, "b", "z", 4, False),
    ]
    rows = changes(spark, "id INT, name STRING, city STRING", given)
    assert rows_of(history(rows, cdc(**tracking), ["id", "name", "city"])) == expected


def test_an_ignored_null_takes_the_newest_value_of_its_life(spark: SparkSession) -> None:
    given = [
        (1, "a", (1, None), 1, False), (1, None, (None, 2), 2, False), (1, "c", None, 3, False),
        (1, None, None, 4, True), (1, None, (None, 5), 5, False),
        (2, "a", (1, 1), 2, False), (2, None, None, 3, False), (2, "late", None, 1, False),
        (3, "a", None, 1, False), (3, None, None, 2, True),
    ]  # fmt: skip
    rows = changes(spark, "id INT, name STRING, at STRUCT<x: INT, y: INT>", given)
    settings = cdc("ID", ignore_null_updates=True)
    assert rows_of(current(rows, settings)) == [
        (1, None, (None, 5), 5, False),
        (2, "a", (1, 1), 3, False),
        (3, "a", None, 2, True),
    ]
    assert rows_of(history(rows, settings, ["id", "name", "at"])) == [
        (1, "a", (1, 2), 2, 3),
        (1, "a", (1, None), 1, 2),
        (1, "c", (1, 2), 3, 4),
        (1, None, (None, 5), 5, None),
        (2, "a", (1, 1), 2, None),
        (2, "late", None, 1, 2),
        (3, "a", None, 1, 2),
    ]


def test_a_key_with_null_is_a_key(spark: SparkSession) -> None:
    left = spark.createDataFrame(
        [(1, None, "a"), (1, 2, "b"), (None, None, "c"), (3, 2, "d")], "x INT, y INT, v STRING"
    )
    right = spark.createDataFrame([(1, None), (1, None), (3, 2), (None, 2)], "x INT, y INT")
    assert rows_of(of_keys(left, ["x", "y"], right)) == [(1, None, "a"), (3, 2, "d")]
    assert rows_of(of_keys(left, ["x", "y"], right, "leftanti")) == [(1, 2, "b"), (None, None, "c")]
    pair = spark.createDataFrame([(1, 1, None, None), (1, 1, 2, None)], "a INT, b INT, c INT, d INT")
    assert [row[0] for row in pair.select(same([pair.a, pair.c], [pair.b, pair.d])).collect()] == [
        True,
        False,
    ]


def test_the_order_of_changes_is_sequence_then_delete_then_content(spark: SparkSession) -> None:
    given = [(1, "b", 2, False), (1, "a", 2, True), (1, "a", 2, False), (1, "z", 1, True)]
    rows = changes(spark, "id INT, name STRING", given)
    found = [tuple(row)[1:] for row in rows.orderBy(later(rows)).collect()]
    assert found == [("z", 1, True), ("a", 2, False), ("b", 2, False), ("a", 2, True)]
    by_alias = rows.alias("s").orderBy(later(rows, lambda name: rows[name]))
    assert [tuple(row)[1:] for row in by_alias.collect()] == found

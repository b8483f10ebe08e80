"""A view is computed again if its rows may have changed, and a reset includes the streams downstream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from integration.lab import Lab, dataset
from lakerun.errors import LakerunError
from lakerun.pipelines.results import SkipReason, UpdateResult


def skipped(result: UpdateResult) -> set[str]:
    """The tables that an update skipped."""
    up_to_date = [item for item in result.datasets if item.skip_reason is SkipReason.UP_TO_DATE]
    return {item.name.rsplit(".", 1)[-1] for item in up_to_date}


def replaced(lab: Lab, folder: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace the folder's files by one with these rows."""
    for file in (lab.home / "incoming" / folder).glob("*.json"):
        file.unlink()
    lab.arrive(folder, rows)


UNKNOWN = """
STEP = {step}

@dp.materialized_view(name="files")
def files():
    return spark.read.schema("v INT").json("{folder}")

@dp.materialized_view(name="by_path")
def by_path():
    return spark.read.format("delta").load("{delta}")

@dp.materialized_view(name="rows")
def rows():
    return spark.createDataFrame([({step},)], "v INT")

@dp.materialized_view(name="inline")
def inline():
    return spark.sql("SELECT * FROM VALUES ({step}) AS t(v)")

@dp.materialized_view(name="udf")
def udf():
    k = STEP
    return spark.range(1).select(F.udf(lambda i: k, "int")("id").alias("v"))

@dp.materialized_view(name="pandas")
def pandas():
    k = STEP
    def each(batches):
        for batch in batches:
            yield batch[["id"]] * 0 + k
    return spark.range(1).mapInPandas(each, "id LONG").withColumnRenamed("id", "v")

@dp.materialized_view(name="literal")
def literal():
    return spark.range(1).select(F.lit(f"desk #{{STEP}}").alias("v"))

@dp.materialized_view(name="long_list")
def long_list():
    return spark.range(5000).where(F.col("id").isin([*range(2000), 3000 + STEP])).selectExpr("max(id) AS v")

@dp.materialized_view(name="lookup")
def lookup():
    pairs = [part for n in range(600) for part in (F.lit(n), F.lit(n if n < 599 else STEP))]
    return spark.range(599, 600).select(F.create_map(*pairs)[F.col("id")].alias("v"))

@dp.materialized_view(name="quoted")
def quoted():
    texts = ["a", "b"] if STEP == 1 else ["a,b"]
    return spark.sql("SELECT explode(array('a', 'a,b')) AS v").where(F.col("v").isin(texts))

@dp.materialized_view(name="quoted_values")
def quoted_values():
    row = "'a,b', 'c'" if STEP == 1 else "'a', 'b,c'"
    return spark.sql(f"SELECT v FROM VALUES ({{row}}) AS t(v, w)")

@dp.materialized_view(name="sampled")
def sampled():
    return spark.range(9).sample(0.5, seed=3).selectExpr("count(*) AS v")

@dp.materialized_view(name="sampled_within")
def sampled_within():
    sample = "SELECT id FROM (SELECT * FROM range(9)) TABLESAMPLE (50 PERCENT) REPEATABLE (3)"
    return spark.range(9).where(f"id IN ({{sample}})").selectExpr("count(*) AS v")

@dp.materialized_view(name="clock")
def clock():
    return spark.range(1).select(F.expr("{clock}").alias("v"))
"""


def test_a_view_is_computed_unless_it_is_known_to_be_unchanged(lab: Lab, spark: Any) -> None:
    folder = lab.arrive("j", [{"v": 1}])
    delta = str(lab.home / "elsewhere")
    spark.range(1).selectExpr("1 AS v").write.format("delta").save(delta)
    clock = "date_format(localtimestamp(), 'yyyy-MM-dd HH:mm:ss.SSSSSS')"
    lab.run(UNKNOWN.format(step=1, folder=folder, delta=delta, clock=clock))
    before = lab.rows("clock")
    spark.range(1).selectExpr("2 AS v").write.format("delta").mode("append").save(delta)
    lab.arrive("j", [{"v": 2}])
    again = lab.run(UNKNOWN.format(step=2, folder=folder, delta=delta, clock=clock))
    assert skipped(again) == set()
    for table, expected in {
        "files": [(1,), (2,)],
        "by_path": [(1,), (2,)],
        "rows": [(2,)],
        "inline": [(2,)],
        "udf": [(2,)],
        "pandas": [(2,)],
        "literal": [("desk #2",)],
        "long_list": [(3002,)],
        "lookup": [(2,)],
        "quoted": [("a,b",)],
        "quoted_values": [("a",)],
    }.items():
        assert (table, lab.rows(table)) == (table, expected)
    assert lab.rows("clock") > before
    # Views with known inputs are skipped; each event has the reason.
    third = lab.run(UNKNOWN.format(step=2, folder=folder, delta=delta, clock=clock))
    assert skipped(third) == {"inline", "literal", "long_list", "quoted", "quoted_values"}
    messages = {
        e.origin["dataset_name"].rsplit(".", 1)[-1]: e.message for e in lab.events if "STARTING" in e.message
    }
    assert messages["files"].endswith(
        "It is computed at each update: it reads something other than tables (LogicalRelation)."
    )
    assert messages["udf"].endswith("It is computed at each update: it calls a Python function.")
    for sample in ("sampled", "sampled_within"):
        assert messages[sample].endswith(
            "It is computed at each update: it is random, or depends on the order of rows."
        )
    assert messages["clock"].endswith("It is computed at each update: it uses the current time or user.")


TWO = """
@dp.materialized_view(name="a")
def a(): return spark.sql("SELECT * FROM VALUES (1), (2) AS t(v)")

@dp.materialized_view(name="b")
def b(): return spark.sql("SELECT * FROM VALUES (2), (3) AS t(v)")

@dp.materialized_view(name="rest")
def rest(): return {rest}
"""


def test_the_positions_of_tables_are_part_of_a_definition(lab: Lab) -> None:
    lab.run(TWO.format(rest='spark.read.table("a").subtract(spark.read.table("b"))'))
    assert lab.rows("rest") == [(1,)]
    second = lab.run(TWO.format(rest='spark.read.table("b").subtract(spark.read.table("a"))'))
    assert (lab.rows("rest"), skipped(second)) == ([(3,)], {"a", "b"})
    third = lab.run(TWO.format(rest='spark.read.table("b").subtract(spark.read.table("a"))'))
    assert skipped(third) == {"a", "b", "rest"}
    messages = [event.message for event in lab.events]
    assert "Flow 'rest' is SKIPPED. up to date with a, b" in messages


LIMITED = """
@dp.table(name="raw")
def raw(): return spark.readStream.schema("q INT").json("{folder}")

@dp.table(name="clean", table_properties={properties})
@dp.expect_or_drop("few", "q <= {limit}")
def clean(): return spark.readStream.table("raw")

@dp.materialized_view(name="totals")
def totals(): return spark.read.table("clean").agg(F.sum("q").alias("q"))
"""


def test_a_recreated_table_is_another_table(lab: Lab) -> None:
    folder = lab.arrive("q", [{"q": 1}, {"q": 5}, {"q": 30}])
    lab.run(LIMITED.format(folder=folder, limit=99, properties={}))
    assert lab.rows("totals") == [(36,)]
    # Only `clean` is recreated; it ends at the version that it had before.
    lab.run(
        LIMITED.format(folder=folder, limit=9, properties={}), full_refresh=("clean",), refresh=("clean",)
    )
    assert (lab.rows("clean"), lab.rows("totals")) == ([(1,), (5,)], [(36,)])
    lab.run(LIMITED.format(folder=folder, limit=9, properties={}))
    assert lab.rows("totals") == [(6,)]


OTHER = """
@dp.table(name="copy")
def copy(): return spark.readStream.table("main.shop.raw")

@dp.materialized_view(name="sum")
def sum_(): return spark.read.table("main.shop.raw").agg(F.sum("q").alias("q"))

@dp.materialized_view(name="first")
def first(): return spark.read.option("versionAsOf", 1).table("main.shop.raw")
"""


def test_a_stream_with_a_recreated_source_fails_with_advice(lab: Lab) -> None:
    folder = lab.arrive("q", [{"q": 1}])
    text = LIMITED.format(folder=folder, limit=99, properties={})
    lab.run(text)
    lab.run(OTHER, "other")
    assert skipped(lab.run(OTHER, "other")) == {"copy", "sum"}
    lab.run(text, full_refresh_all=True)
    result = lab.run(OTHER, "other")
    assert (result.state, dataset(result, "copy").note) == (
        "FAILED",
        "Table main.shop.raw was recreated after 'copy' streamed from it: "
        "run again with --full-refresh copy.",
    )
    assert lab.rows("copy") == [(1,)]
    assert lab.run(OTHER, "other", full_refresh=("copy",)).state == "COMPLETED"
    assert lab.rows("copy") == [(1,)]
    assert skipped(lab.run(OTHER, "other")) == {"copy", "sum"}


def test_a_protected_table_survives_every_full_refresh(lab: Lab) -> None:
    folder = lab.arrive("q", [{"q": 1}, {"q": 2}])
    text = LIMITED.format(folder=folder, limit=99, properties={"pipelines.reset.allowed": "false"})
    lab.run(text)
    replaced(lab, "q", [{"q": 3}])
    with pytest.raises(LakerunError, match=r"Table 'clean' cannot be refreshed fully.*reset\.allowed=false"):
        lab.run(text, full_refresh=("clean",))
    assert lab.run(text, full_refresh_all=True).state == "COMPLETED"
    assert (lab.rows("raw"), lab.rows("clean")) == ([(3,)], [(1,), (2,), (3,)])
    kept = [event.message for event in lab.events if event.level == "WARN"]
    assert kept == [
        "Table 'clean' keeps its rows: it has pipelines.reset.allowed=false. It streams from a table that is "
        "created again, and reads all of its rows."
    ]
    replaced(lab, "q", [{"q": 4}])
    lab.run(text, full_refresh=("raw",))
    assert lab.rows("clean") == [(1,), (2,), (3,), (4,)]


def test_a_protected_table_of_files_continues_where_it_was(lab: Lab) -> None:
    text = """
    @dp.table(name="raw", table_properties={"pipelines.reset.allowed": "false"})
    def raw(): return spark.readStream.schema("q INT").json("%s")
    """
    folder = lab.arrive("q", [{"q": 1}, {"q": 2}])
    lab.run(text % folder)
    replaced(lab, "q", [{"q": 3}])
    lab.run(text % folder, full_refresh_all=True)
    assert lab.rows("raw") == [(1,), (2,), (3,)]

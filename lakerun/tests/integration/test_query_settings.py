"""Spark's settings: a pipeline's apply to all of its queries, a dataset's only to its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from unit.job_lab import JobLab

from integration.lab import Lab, dataset
from lakerun.errors import GraphError
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.spark.session import session_with

ZONES = """
    spark = SparkSession.builder.getOrCreate()
    ZONE = "spark.sql.session.timeZone"
    TOKYO, LIMA = {{ZONE: "Asia/Tokyo"}}, {{ZONE: "America/Lima"}}

    def midnight():
        # Midnight of 1970 in UTC, as text in the query's time zone; the rows are those of one file.
        return F.from_unixtime(F.lit(0)).alias("at")

    @dp.materialized_view(name="own", spark_conf=TOKYO)
    def own():
        return spark.range(1).select(midnight())

    @dp.materialized_view(name="common")
    def common():
        return spark.range(1).select(midnight())

    @dp.temporary_view(name="limas", spark_conf=LIMA)
    def limas():
        return spark.range(1).select(midnight())

    @dp.materialized_view(name="of_view")
    def of_view():
        return spark.read.table("limas").select("at", midnight().alias("mine"))

    @dp.materialized_view(name="over_view", spark_conf=TOKYO)
    def over_view():
        return spark.read.table("limas")

    @dp.table(name="streamed", spark_conf=TOKYO)
    def streamed():
        return spark.readStream.schema("id INT").json("{folder}").select("id", midnight())

    dp.create_streaming_table("target", spark_conf=LIMA)

    @dp.append_flow(target="target", name="of_table")
    def of_table():
        return spark.readStream.table("streamed").select(F.lit("table").alias("flow"), midnight())

    @dp.append_flow(target="target", name="of_flow", spark_conf=TOKYO)
    def of_flow():
        return spark.readStream.table("streamed").select(F.lit("flow").alias("flow"), midnight())
"""
UTC, TOKYO, LIMA = "1970-01-01 00:00:00", "1970-01-01 09:00:00", "1969-12-31 19:00:00"


def test_settings_apply_only_to_the_queries_that_declare_them(lab: Lab) -> None:
    assert lab.run(ZONES.format(folder=lab.arrive("ids", [{"id": 1}]))).state == "COMPLETED"
    assert lab.rows("common") == [(UTC,)]
    assert lab.rows("own") == [(TOKYO,)]
    assert lab.rows("of_view") == [(LIMA, LIMA)]
    assert lab.rows("over_view") == [(TOKYO,)]
    assert lab.rows("streamed") == [(1, TOKYO)]
    assert lab.rows("target") == [("flow", TOKYO), ("table", LIMA)]


BUILT = """
    session = SparkSession.builder.appName("mine"){config}.getOrCreate()

    @dp.materialized_view(name="found")
    def found():
        inner = SparkSession.builder.getOrCreate()
        return inner.range(1).select(
            F.from_unixtime(F.lit(0)).alias("at"),
            F.lit(session.conf.get("STAGE")).alias("stage"),
            F.lit(inner.conf.get("STAGE")).alias("inner"),
        )
"""


def test_the_session_of_a_builder_has_the_pipelines_configuration(lab: Lab) -> None:
    lab.run(BUILT.format(config=""))
    assert lab.rows("found") == [(UTC, "local", "local")]
    again = lab.run(BUILT.format(config=".config('spark.sql.session.timeZone', 'Asia/Tokyo')"))
    assert dataset(again, "found").status == "COMPLETED"  # what the code sets is part of the definition
    assert lab.rows("found") == [(TOKYO, "local", "local")]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            """
            @dp.materialized_view(name="found", spark_conf={"spark.executor.memory": "1g"})
            def found():
                return spark.range(1)
            """,
            "spark.executor.memory",
        ),
        (
            """
            @dp.temporary_view(spark_conf={"spark.sql.ansi.enabled": "true"})
            def one():
                return spark.range(1)

            @dp.temporary_view(spark_conf={"spark.sql.ansi.enabled": "false"})
            def two():
                return spark.range(1)

            @dp.materialized_view
            def found():
                return spark.read.table("one").union(spark.read.table("two"))
            """,
            "views with different values of spark.sql.ansi.enabled are read together: true and false",
        ),
    ],
)
def test_settings_that_cannot_be_carried_out_are_refused(lab: Lab, source: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        lab.run(source)


def test_the_settings_of_a_tasks_cluster_hold_in_that_task_only(spark: SparkSession, tmp_path: Path) -> None:
    """`spark.executor.memory` is about the cluster's machines, and Spark cannot change it."""
    lab = JobLab(tmp_path)
    lab.task_runner = LocalTaskRunner(lab.storage, lambda: spark)
    body = """
    from pyspark.sql import SparkSession
    found = SparkSession.builder.getOrCreate()
    assert found is SparkSession.active()
    print(found.conf.get("spark.sql.session.timeZone"), found.conf.get("spark.executor.memory", "none"))
    """
    settings = {"spark.sql.session.timeZone": "Asia/Tokyo", "spark.executor.memory": "99g"}
    own = lab.script("own", body, new_cluster={"spark_conf": settings, "num_workers": 0})
    shared = lab.script("shared", body, job_cluster_key="small", after="own")
    plain = lab.script("plain", body, after="shared")
    cluster = {"job_cluster_key": "small", "new_cluster": {"spark_conf": settings}}
    result = lab.run(lab.job(own, shared, plain, job_clusters=[cluster]))
    assert [task.error for task in result.tasks] == [None, None, None]
    printed = {update.key: update.outcome.message for update in lab.updates if update.outcome}
    assert printed == {"own": "Asia/Tokyo none", "shared": "Asia/Tokyo none", "plain": "UTC none"}


def test_a_stream_with_settings_of_its_own_is_found_so_that_it_can_be_stopped(
    spark: SparkSession, tmp_path: Path
) -> None:
    with session_with({}) as session:
        with session.with_settings({"spark.sql.session.timeZone": "Asia/Tokyo"}):
            rows = session.readStream.format("rate").load()
        writer = rows.writeStream.format("noop").option("checkpointLocation", str(tmp_path))
        query = writer.start()
        try:
            assert session.streams.active == []
            assert [found.id for found in session.active_streams()] == [query.id]
        finally:
            query.stop()


def test_the_settings_that_code_has_set_are_known(spark: SparkSession) -> None:
    with session_with({"STAGE": "local"}) as session:
        before = session.snapshot()
        assert session.changed_since(before) == {}
        session.conf.set("STAGE", "other")
        session.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
        assert session.changed_since(before) == {
            "STAGE": "other",
            "spark.sql.session.timeZone": "Asia/Tokyo",
        }

"""Updates: what runs, what is skipped, refreshes, and the event log."""

from __future__ import annotations

import pytest

from integration.lab import Lab, dataset
from lakerun.bundles.pipeline_specs import read_pipeline
from lakerun.bundles.sections import Section
from lakerun.errors import GraphError, LakerunError, UnknownNameError
from lakerun.pipelines.results import SkipReason
from lakerun.pipelines.update import run_update

CHAIN = """
    @dp.table(name="raw", comment="As it arrived", table_properties={{"quality": "bronze"}})
    def raw():
        return spark.readStream.schema("id INT, n INT").format("json").load("{folder}")

    @dp.temporary_view(name="positive")
    @dp.expect_or_drop("positive_n", "n > 0")
    def positive():
        return spark.readStream.table("raw")

    @dp.table(name="clean")
    def clean():
        return spark.readStream.table("positive").select("id", "n", (F.col("n") * {factor}).alias("m"))

    @dp.materialized_view(
        name="totals",
        schema="id INT NOT NULL, total BIGINT, CONSTRAINT totals_pk PRIMARY KEY (id)",
        cluster_by=["id"],
    )
    def totals():
        return spark.read.table("main.shop.clean").groupBy("id").agg(F.sum("m").alias("total"))
"""


def chain(folder: str, factor: int = 2) -> str:
    return CHAIN.format(folder=folder, factor=factor)


def test_an_update_is_incremental_and_a_second_one_without_new_data_runs_nothing(lab: Lab) -> None:
    folder = lab.arrive("raw", [{"id": 1, "n": 1}, {"id": 1, "n": -5}, {"id": 2, "n": 3}])
    first = lab.run(chain(folder))
    assert {item.name.split(".")[-1]: item.rows_written for item in first.datasets} == {
        "raw": 3,
        "clean": 2,
        "totals": 2,
    }
    assert dataset(first, "clean").rows_dropped == 1

    idle = lab.run(chain(folder))
    assert {item.status for item in idle.datasets} == {"SKIPPED"}
    assert {item.skip_reason for item in idle.datasets} == {SkipReason.UP_TO_DATE}

    lab.arrive("raw", [{"id": 2, "n": 4}])
    second = lab.run(chain(folder))
    assert [item.rows_written for item in second.datasets] == [1, 1, 2]
    assert lab.rows("totals") == [(1, 2), (2, 14)]


def test_a_changed_definition_is_computed_again_and_optimize_is_ignored(lab: Lab) -> None:
    from deltalake import DeltaTable

    folder = lab.arrive("raw", [{"id": 1, "n": 1}])
    lab.run(chain(folder))
    lab.arrive("raw", [{"id": 2, "n": 2}])
    lab.run(chain(folder))
    DeltaTable(str(lab.path("clean"))).optimize.compact()
    assert dataset(lab.run(chain(folder)), "totals").status == "SKIPPED"

    changed = chain(folder).replace('F.sum("m")', 'F.max("m")').replace("total BIGINT", "total INT")
    assert dataset(lab.run(changed), "totals").status == "COMPLETED"
    assert lab.rows("totals") == [(1, 2), (2, 4)]


def test_a_full_refresh_includes_the_streams_downstream(lab: Lab) -> None:
    folder = lab.arrive("raw", [{"id": 1, "n": 1}])
    lab.run(chain(folder))
    assert lab.rows("clean") == [(1, 1, 2)]

    only_clean = lab.run(chain(folder, factor=10), full_refresh=("clean",))
    assert [item.name.split(".")[-1] for item in only_clean.datasets] == ["clean"]
    assert lab.rows("clean") == [(1, 1, 10)]
    assert lab.rows("totals") == [(1, 2)]

    below = lab.run(chain(folder, factor=3), full_refresh=("raw",))
    assert [item.name.split(".")[-1] for item in below.datasets] == ["raw", "clean"]
    assert lab.rows("clean") == [(1, 1, 3)]

    lab.run(chain(folder, factor=5), full_refresh_all=True)
    assert (lab.rows("raw"), lab.rows("totals")) == ([(1, 1)], [(1, 5)])


def test_a_selective_refresh_runs_only_the_named_tables(lab: Lab) -> None:
    folder = lab.arrive("raw", [{"id": 1, "n": 1}])
    lab.run(chain(folder))
    lab.arrive("raw", [{"id": 1, "n": 7}])
    partial = lab.run(chain(folder), refresh=("raw",))
    assert [item.name for item in partial.datasets] == ["main.shop.raw"]
    assert lab.rows("clean") == [(1, 1, 2)]
    with pytest.raises(UnknownNameError, match="Did you mean 'clean'"):
        lab.run(chain(folder), refresh=("claen",))


def test_several_flows_append_to_one_table(lab: Lab) -> None:
    north = lab.arrive("north", [{"id": 1}])
    south = lab.arrive("south", [{"id": 2}, {"id": 3}])
    source = f"""
    dp.create_streaming_table("all_orders", expect_all_or_drop={{"not_three": "id <> 3"}})
    for region, folder in (("north", "{north}"), ("south", "{south}")):
        @dp.append_flow(target="all_orders", name=region)
        def flow(folder=folder, region=region):
            rows = spark.readStream.schema("id INT").format("json").load(folder)
            return rows.withColumn("region", F.lit(region))
    """
    result = lab.run(source)
    assert lab.rows("all_orders") == [(1, "north"), (2, "south")]
    assert dataset(result, "all_orders").rows_dropped == 1


def test_the_event_log_has_the_documented_events_in_order(lab: Lab) -> None:
    folder = lab.arrive("raw", [{"id": 1, "n": 1}])
    result = lab.run("    print('environment: local')\n" + chain(folder))
    rows = lab.rows("event_log_lab", "sequence['control_plane_seq_no'], event_type, origin['update_id']")
    kinds = [kind for _, kind, _ in sorted(rows)]
    assert {update for _, _, update in rows} == {result.update_id}
    assert kinds[0] == "create_update"
    assert kinds[-2:] == ["update_progress", "update_resources"]  # the last only when all is done
    (used,) = [e.details["update_resources"] for e in lab.events if e.event_type == "update_resources"]
    assert 0 < used["wall_seconds"] <= result.seconds + 60
    assert used["cpu_seconds"] > 0
    assert used["peak_memory_bytes"] - used["python_peak_memory_bytes"] > 100_000_000  # the JVM's part
    (totals,) = [
        body["flow_progress"]["metrics"]
        for body in lab.published("lab", "flow_progress")
        if body["flow_progress"]["status"] == "COMPLETED" and "metrics" in body["flow_progress"]
    ]
    data = sum(file.stat().st_size for file in lab.path("totals").glob("*.parquet"))
    assert totals["num_output_bytes"] == data > 0
    states = [e.details["update_progress"]["state"] for e in lab.events if e.event_type == "update_progress"]
    assert states == ["INITIALIZING", "SETTING_UP_TABLES", "RUNNING", "COMPLETED"]
    defined = [e.origin["dataset_name"] for e in lab.events if e.event_type == "dataset_definition"]
    assert defined == ["main.shop.raw", "main.shop.clean", "main.shop.totals"]
    flows = {
        e.origin["flow_name"]: e.details["flow_definition"]
        for e in lab.events
        if e.event_type == "flow_definition"
    }
    assert [i["dataset"]["name"] for i in flows["clean"]["input_datasets"]] == ["main.shop.raw"]
    assert flows["totals"]["flow_type"] == "COMPLETE"
    printed = [
        e.details["runtime_details"]["output"] for e in lab.events if e.event_type == "runtime_details"
    ]
    assert printed == [["environment: local"]]


def test_a_table_over_a_batch_query_is_a_materialized_view(lab: Lab) -> None:
    # The form of Databricks' own templates.
    folder = lab.arrive("raw", [{"id": 1, "n": 1}, {"id": 2, "n": 5}])
    source = f"""
        @dp.table
        @dp.expect_or_drop("positive", "n > 0")
        def trips():
            return spark.read.schema("id int, n int").json({folder!r})

        @dp.table
        def total():
            return spark.read.table("trips").groupBy().agg(F.sum("n").alias("n"))
    """
    assert lab.run(source).state == "COMPLETED"
    lab.arrive("raw", [{"id": 3, "n": 10}, {"id": 4, "n": -1}])
    update = lab.run(source)
    assert update.state == "COMPLETED"
    assert sorted(lab.rows("trips", "id, n")) == [(1, 1), (2, 5), (3, 10)]
    assert lab.rows("total", "n") == [(16,)]


def test_validate_only_changes_no_table(lab: Lab) -> None:
    folder = lab.arrive("raw", [{"id": 1, "n": 1}])
    assert lab.run(chain(folder), validate_only=True).state == "COMPLETED"
    assert not lab.path("raw").exists()


BAD_PIPELINES = {
    "an unknown table": (
        "@dp.materialized_view(name='a')\ndef a():\n    return spark.read.table('ordrs')\n"
        "@dp.materialized_view(name='orders')\ndef o():\n    return spark.range(1)",
        r"Unknown table 'main.shop.ordrs'. Did you mean 'main.shop.orders'",
    ),
    "a cycle": (
        "@dp.materialized_view(name='a')\ndef a():\n    return spark.read.table('b')\n"
        "@dp.materialized_view(name='b')\ndef b():\n    return spark.read.table('a')",
        r"read each other: a -> b -> a",
    ),
    "a name used twice": (
        "for _ in range(2):\n    @dp.materialized_view(name='a')\n"
        "    def a():\n        return spark.range(1)",
        r"'a' is declared twice: lab.py:7 and lab.py:7",
    ),
    "two expectations of one name": (
        "@dp.materialized_view(name='a')\n@dp.expect('x', 'id > 0')\n@dp.expect('x', 'id > 1')\n"
        "def a():\n    return spark.range(1)",
        r"two expectations named 'x'",
    ),
    "a rule on a missing column": (
        "@dp.materialized_view(name='a')\n@dp.expect('x', 'idd > 0')\ndef a():\n    return spark.range(1)",
        r"expectation 'x'.*idd.*cannot be resolved",
    ),
    "a batch query for a streaming table": (
        "dp.create_streaming_table('a')\n@dp.append_flow(target='a')\ndef f():\n    return spark.range(1)",
        r"lab.py:7: 'main.shop.a' is a streaming table over a batch query",
    ),
    "a query that returns nothing": (
        "@dp.table(name='a')\ndef a():\n    pass",
        r"returned NoneType, not a DataFrame",
    ),
    "an error in the code": (
        "x = 1\nraise ValueError('no such luck')",
        r"lab.py:7: ValueError: no such luck",
    ),
    "no table": ("x = 1", r"declares no table"),
}


@pytest.mark.parametrize("case", BAD_PIPELINES)
def test_invalid_definitions_are_refused_in_one_line_before_anything_runs(lab: Lab, case: str) -> None:
    source, message = BAD_PIPELINES[case]
    with pytest.raises(LakerunError, match=message) as caught:
        lab.run(source)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, GraphError | UnknownNameError | LakerunError)
    assert not (lab.home / "tables" / "main" / "shop" / "a").exists()
    assert lab.rows("event_log_lab", "level").count(("ERROR",)) == 1


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        (
            "# MAGIC %sql\n# MAGIC CREATE MATERIALIZED VIEW b AS SELECT 1",
            "lab.py:12: %sql cells are not supported",
        ),
        ("# MAGIC %run ./other", "lab.py:12: %run cells are not supported"),
        ("# MAGIC %pip install x\n# MAGIC step = 2", "lab.py:13: Code below %pip is not supported"),
        ("# MAGIC %restart_python\nstep = 2", "lab.py:13: Code below %restart_python is not supported"),
    ],
)
def test_a_notebooks_cell_that_would_not_run_is_refused(lab: Lab, cell: str, error: str) -> None:
    text = f"""
@dp.materialized_view(name="a")
def a(): return spark.range(1)

# COMMAND ----------

{cell}
"""
    spec = lab.spec(text)
    (file,) = spec.source_files
    file.write_text("# Databricks notebook source" + file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(GraphError) as refused:
        run_update(spec, storage=lab.storage)
    assert error in str(refused.value)
    allowed = (
        "# MAGIC %md\n# MAGIC step = 2\n\n# COMMAND ----------\n\n# MAGIC %pip install x\n# MAGIC # a comment"
    )
    file.write_text(file.read_text(encoding="utf-8").replace(cell, allowed), encoding="utf-8")
    assert run_update(spec, storage=lab.storage).state == "COMPLETED"


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        (
            "totals.sql",
            "CREATE MATERIALIZED VIEW t AS SELECT 1",
            "totals.sql: SQL source files are not supported",
        ),
        ("book.ipynb", "{}", "book.ipynb: Jupyter notebooks are not supported"),
        ("sales", "-- Databricks notebook source\nSELECT 1", "sales: SQL source files are not supported"),
    ],
)
def test_a_source_file_that_cannot_run_is_refused(lab: Lab, name: str, text: str, error: str) -> None:
    spec = lab.spec("@dp.materialized_view(name='a')\ndef a(): return spark.range(1)")
    (lab.home / "src" / name).write_text(text, encoding="utf-8")
    settings = {"catalog": "main", "schema": "shop", "libraries": [{"glob": {"include": "src/**"}}]}
    found = read_pipeline(Section(settings), "lab", lambda _section, _key, path: lab.home / path)
    assert [file.name for file in found.source_files] == sorted(["lab.py", name])
    with pytest.raises(GraphError, match="are not supported in pipelines here") as refused:
        run_update(spec.model_copy(update={"source_files": found.source_files}), storage=lab.storage)
    assert error in str(refused.value)

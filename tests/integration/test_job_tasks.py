"""Tasks of a job on real Spark: tables by name, a canceled query, a canceled update, sessions kept apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from integration.lab import Lab, dataset, failed
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from lakerun.bundles.job_specs import job_from_settings
from lakerun.bundles.model import JobSpec, PipelineSpec
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.results import JobResult, TaskUpdate
from lakerun.jobs.runner import run_job
from lakerun.pipelines.results import Event
from lakerun.tables.storage import TableName

ROOT = Path(__file__).parents[2]


@dataclass
class Jobs:
    """Runs jobs on the lab's lakehouse and the warm session."""

    lab: Lab
    spark: SparkSession
    pipelines: dict[str, PipelineSpec] = field(default_factory=dict)
    jobs: dict[str, JobSpec] = field(default_factory=dict)
    heard: list[TaskUpdate] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    canceled: threading.Event = field(default_factory=threading.Event)

    def run(self, *tasks: Mapping[str, Any]) -> JobResult:
        return run_job(
            job_from_settings({"name": "nightly", "tasks": list(tasks)}, "1"),
            {},
            resources=self,
            task_runner=LocalTaskRunner(self.lab.storage, lambda: self.spark),
            on_task=self.heard.append,
            on_event=self.on_event,
            canceled=self.canceled,
        )

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def file(self, name: str, text: str) -> str:
        path = self.lab.home / "src" / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def logs(self, key: str) -> str:
        (found,) = [u.outcome.logs for u in self.heard if u.key == key and u.outcome]
        return found


@pytest.fixture
def jobs(lab: Lab, spark: SparkSession) -> Jobs:
    return Jobs(lab, spark)


def table(jobs: Jobs, name: TableName, rows: int) -> None:
    path = jobs.lab.storage.table_path(name)
    path.mkdir(parents=True)
    write_deltalake(str(path), pa.table({"id": pa.array(range(rows), pa.int64())}))


def test_the_notebook_of_the_bundle_lists_the_tables_with_their_rows(jobs: Jobs) -> None:
    catalog = get_config("local").catalog
    for schema, name, rows in (("data_eng", "orders", 3), ("data_eng", "events", 5), ("other", "x", 1)):
        table(jobs, TableName(catalog, schema, name), rows)
    notebook = {
        "notebook_path": str(ROOT / "src" / "notebooks" / "inspect_tables"),
        "base_parameters": {"environment": "local", "schema": "data_eng"},
    }
    result = jobs.run({"task_key": "inspect", "notebook_task": notebook})
    assert [(task.state, task.error) for task in result.tasks] == [("SUCCESS", None)]
    printed = [line.split() for line in jobs.logs("inspect").splitlines()]
    assert ["Pipeline", "Environment:", "local"] in printed
    assert printed[-3:] == [["table", "rows"], ["events", "5"], ["orders", "3"]]


def test_sql_cells_and_code_find_tables_by_their_names(jobs: Jobs) -> None:
    table(jobs, TableName("main", "shop", "orders"), 4)
    cells = [
        "# MAGIC %sql\n# MAGIC SELECT count(*) AS n, ';' AS c FROM main.shop.orders; SELECT 7 AS seven",
        "print(_sqldf.first().seven, spark.table('main.shop.orders').count())",
        "print(spark.read.table('`main`.`shop`.`orders`').where('id > 1').count())",
        "print(spark.sql('DESCRIBE HISTORY main.shop.orders').count())",
    ]
    separator = "\n\n# COMMAND ----------\n\n"
    text = "# Databricks notebook source\n" + separator.join(cells) + "\n"
    notebook = {"notebook_path": jobs.file("n.py", text)}
    result = jobs.run({"task_key": "n", "notebook_task": notebook})
    assert [(task.state, task.error) for task in result.tasks] == [("SUCCESS", None)]
    printed = [line.split() for line in jobs.logs("n").splitlines()]
    assert printed == [["n", "c"], ["4", ";"], ["seven"], ["7"], ["7", "4"], ["2"], ["1"]]


def test_a_canceled_task_stops_its_own_query_only(jobs: Jobs) -> None:
    forever = "SparkSession.active().range(10**13).selectExpr('sum(id % 7)').collect()"
    endless = jobs.file("endless.py", f"from pyspark.sql import SparkSession\n{forever}\n")
    short = "print(SparkSession.active().range(3000).repartition(4).count())"
    other = jobs.file(
        "other.py", f"import time\nfrom pyspark.sql import SparkSession\ntime.sleep(1.5)\n{short}\n"
    )
    clock = time.monotonic()
    result = jobs.run(
        {"task_key": "endless", "spark_python_task": {"python_file": endless}, "timeout_seconds": 1},
        {"task_key": "other", "spark_python_task": {"python_file": other}},
    )
    assert time.monotonic() - clock < 10
    assert [(task.key, task.state) for task in result.tasks] == [
        ("endless", "TIMEDOUT"),
        ("other", "SUCCESS"),
    ]
    assert jobs.logs("other") == "3000\n"
    assert jobs.spark.sparkContext.statusTracker().getActiveJobsIds() == []


STREAM = """
@dp.table(name="events")
@dp.expect_or_drop("even", "id % 2 = 0")
def events():
    reader = spark.readStream.schema("id long").option("maxFilesPerTrigger", 1)
    return reader.json({folder!r})

@dp.materialized_view(name="totals")
def totals():
    return spark.read.table("events").agg(F.count("*").alias("n"))
"""


def test_a_canceled_update_goes_on_later_and_counts_every_row_once(jobs: Jobs) -> None:
    files = 7
    for number in range(files):
        folder = jobs.lab.arrive("events", [{"id": 10 * number + i} for i in range(10)])
    spec = jobs.lab.spec(STREAM.format(folder=folder))
    jobs.pipelines["p"] = spec

    def cancel_after_two_batches(event: Event) -> None:
        jobs.events.append(event)
        batches = [e for e in jobs.events if e.details.get("flow_progress", {}).get("status") == "RUNNING"]
        if len(batches) == 2:
            jobs.canceled.set()

    jobs.on_event = cancel_after_two_batches  # type: ignore[method-assign]
    result = jobs.run({"task_key": "p", "pipeline_task": {"pipeline_id": "p"}})
    assert (result.state, result.tasks[0].state) == ("CANCELED", "CANCELED")
    update = result.tasks[0].update
    assert update is not None
    assert update.state == "CANCELED"
    assert {item.name.split(".")[-1]: item.status for item in update.datasets} == {
        "events": "STOPPED",
        "totals": "STOPPED",
    }
    assert 10 <= dataset(update, "events").rows_written < 5 * files
    last = [e.details["update_progress"]["state"] for e in jobs.events if e.event_type == "update_progress"]
    assert last[-1] == "CANCELED"

    again = jobs.lab.run(STREAM.format(folder=folder))
    assert again.state == "COMPLETED"
    assert jobs.lab.rows("events") == sorted([(n,) for n in range(0, 10 * files, 2)], key=repr)
    assert jobs.lab.rows("totals") == [(5 * files,)]
    # Of both updates together: no batch is counted twice, none is left out.
    assert jobs.lab.expectation_counts()["events", "even"] == (5 * files, 5 * files)
    assert failed(again, "events")["even"] < 5 * files


def test_a_task_beside_an_update_keeps_its_own_session(jobs: Jobs) -> None:
    folder = jobs.lab.arrive("events", [{"id": number} for number in range(10)])
    spec = jobs.lab.spec(STREAM.format(folder=folder) + '\nprint("mark", spark.conf.get("MARK"))\n')
    jobs.pipelines["p"] = spec.model_copy(update={"configuration": {"MARK": "of the pipeline"}})
    body = """
import time
from pyspark.sql import SparkSession
seen = set()
for _ in range(60):
    seen.add(SparkSession.getActiveSession().conf.get("MARK", "none"))
    time.sleep(0.05)
print(seen)
"""
    result = jobs.run(
        {"task_key": "p", "pipeline_task": {"pipeline_id": "p"}},
        {"task_key": "script", "spark_python_task": {"python_file": jobs.file("seen.py", body)}},
    )
    assert result.state == "SUCCESS"
    assert jobs.logs("script") == "{'none'}\n"
    printed = [
        e.details["runtime_details"]["output"] for e in jobs.events if e.event_type == "runtime_details"
    ]
    assert printed == [["mark of the pipeline"]]
    running = {u.key: (u.started, u.ended) for u in jobs.heard if u.ended and u.started}
    assert running["p"][0] < running["script"][1]  # they did run at the same time
    assert running["script"][0] < running["p"][1]

"""`lakerun run` on a small bundle, and the other commands on its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from unit.command_line import lakerun

from lakerun.tables.storage import Storage

BUNDLE = """
bundle:
  name: numbers
resources:
  jobs:
    nightly:
      name: nightly
      parameters:
        - {name: day, default: monday}
      tasks:
        - task_key: count
          pipeline_task:
            pipeline_id: ${resources.pipelines.counting.id}
  pipelines:
    counting:
      name: counting
      catalog: c
      schema: s
      libraries:
        - file: {path: ./counting.py}
      event_log: {catalog: c, schema: s, name: event_log_counting}
"""

# Ten numbers: five are odd and dropped; of all ten, 8 and 9 break `small`.
PIPELINE = """
from pyspark import pipelines as dp
from pyspark.sql import SparkSession

print("this must not reach the console")
spark = SparkSession.active()


@dp.materialized_view(name="silver_numbers", comment="Even numbers")
@dp.expect("small", "id < 8")
@dp.expect_or_drop("even", "id % 2 = 0")
def silver_numbers():
    return spark.range(10)


@dp.materialized_view(name="gold_sum")
@dp.expect_or_fail("sum_is_low", "total < LIMIT")
def gold_sum():
    return spark.read.table("silver_numbers").selectExpr("sum(id) AS total")
"""


@pytest.fixture
def project(spark: SparkSession, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundle in the working directory, with an empty data folder."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    (root / "counting.py").write_text(PIPELINE.replace("LIMIT", "100"), encoding="utf-8")
    monkeypatch.chdir(root)
    return root


def test_a_pipeline_runs_with_progress_and_a_summary(project: Path, home: Path) -> None:
    result = lakerun("run", "counting")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert any(line.startswith("  silver_numbers COMPLETED 5 rows, 5 dropped") for line in lines)
    (row,) = [line for line in lines if line.startswith("silver_numbers")]
    assert row.split()[:3] == ["silver_numbers", "5", "5"]
    assert "small warned 2" in result.stdout
    assert "even dropped 5" in result.stdout
    assert "this must not reach the console" not in result.stdout
    assert lines[-1].startswith("counting COMPLETED in ")

    # The second run has nothing to do, and the other commands see the tables without Spark.
    again = lakerun.json("run", "counting")
    assert {dataset["status"] for dataset in again["datasets"]} == {"SKIPPED"}
    assert lakerun.json("sql", "SELECT total FROM gold_sum") == [{"total": 20}]
    tables = {table["name"].split(".")[-1]: table for table in lakerun.json("tables")}
    assert (tables["silver_numbers"]["rows"], tables["silver_numbers"]["comment"]) == (5, "Even numbers")
    latest = lakerun.json("events", "counting", "--update", "latest")
    assert {event["origin"]["update_id"] for event in latest} == {again["update_id"]}

    # The published event log is a table, here and in Spark.
    kind = "array<struct<name string, failed_records bigint>>"
    sql = (
        "SELECT e.name, sum(e.failed_records) AS failed FROM event_log_counting "
        "LATERAL VIEW explode(from_json("
        f"get_json_object(details, '$.flow_progress.data_quality.expectations'), '{kind}')) x AS e "
        "GROUP BY 1 HAVING sum(e.failed_records) > 0 ORDER BY 1"
    )
    failures = lakerun.json("sql", sql)
    assert failures == [{"name": "even", "failed": 5}, {"name": "small", "failed": 2}]
    assert lakerun.json("sql", "--spark", sql) == failures


def test_a_failed_expectation_exits_with_1_and_is_named(project: Path, home: Path) -> None:
    (project / "counting.py").write_text(PIPELINE.replace("LIMIT", "10"), encoding="utf-8")
    result = lakerun("run", "nightly")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: nightly failed: task 'count': ")
    assert "gold_sum" in line
    assert "sum_is_low" in line
    assert line.endswith(f"Log: {home / 'logs' / 'run.log'}")
    assert (home / "logs" / "run.log").exists()
    assert "nightly FAILED in" in result.stdout


def test_a_job_runs_its_pipelines(project: Path) -> None:
    result = lakerun.json("run", "nightly", "--param", "day=friday")
    assert (result["job"], result["state"]) == ("nightly", "SUCCESS")
    (task,) = result["tasks"]
    assert (task["key"], task["update"]["pipeline"]) == ("count", "counting")


def test_validate_only_writes_no_table_of_the_pipeline(project: Path, home: Path) -> None:
    assert lakerun("run", "counting", "--validate-only").exit_code == 0
    assert [t.table for t in Storage(home).tables() if not t.table.startswith("event_log")] == []


def test_an_unknown_dataset_to_refresh_exits_with_2(project: Path) -> None:
    result = lakerun("run", "counting", "--full-refresh", "silver_number")
    assert result.exit_code == 2
    assert "silver_numbers" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_second_run_on_the_same_folder_exits_with_3(project: Path, home: Path) -> None:
    with Storage(home).exclusive("lakerun run nightly"):
        result = lakerun("run", "counting")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "lakerun run nightly" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("countin",), "Unknown job or pipeline 'countin'. Did you mean 'counting'?"),
        (("nightly", "--refresh", "x"), "--refresh is for a pipeline, and 'nightly' is a job."),
        (("nightly", "--full-refresh-all"), "--full-refresh-all is for a pipeline"),
        (("nightly", "--validate-only"), "--validate-only is for a pipeline"),
        (("counting", "--param", "a=1"), "--param is for a job, and 'counting' is a pipeline."),
        (("nightly", "--param", "a"), "'a' is not a parameter: write --param name=value."),
        (("nightly", "--param", "dya=friday"), "Unknown job parameter 'dya'."),
    ],
)
def test_wrong_usage_of_run_starts_nothing(project: Path, home: Path, arguments: Any, message: str) -> None:
    result = lakerun("run", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not home.exists()

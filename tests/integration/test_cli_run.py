"""`lakehouse run` on a small bundle, and what the quick queries make of tables that Spark wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner, Result

from ecommerce_lakehouse.cli.main import command_line
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage, TableName
from tests.unit.shop_data import lakehouse_tables

ROOT = Path(__file__).parents[2]

BUNDLE = """
bundle:
  name: ecommerce_lakehouse
variables:
  environment: {default: dev}
  catalog: {default: c}
  schema: {default: data_eng}
  volume: {default: data}
targets:
  dev: {mode: development, default: true}
resources:
  jobs:
    nightly:
      name: nightly
      parameters:
        - {name: environment, default: "${var.environment}"}
      tasks:
        - task_key: count
          pipeline_task:
            pipeline_id: ${resources.pipelines.counting.id}
  pipelines:
    counting:
      name: counting
      catalog: ${var.catalog}
      schema: ${var.schema}
      libraries:
        - file: {path: ./counting.py}
      event_log: {catalog: "${var.catalog}", schema: "${var.schema}", name: event_log_counting}
"""

# Ten numbers: five are odd and dropped; of the even ones 8 alone breaks `small`, before that 8 and 9 do.
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


def lakehouse(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(command_line(), list(arguments), **options)


def as_json(*arguments: str, **options: Any) -> Any:
    result = lakehouse(*arguments, "--json", **options)
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_a_pipeline_runs_shows_progress_and_ends_with_its_figures(project: Path, home: Path) -> None:
    result = lakehouse("run", "counting")
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
    again = as_json("run", "counting")
    assert {dataset["status"] for dataset in again["datasets"]} == {"SKIPPED"}
    assert as_json("sql", "SELECT total FROM gold_sum") == [{"total": 20}]
    tables = {table["name"].split(".")[-1]: table for table in as_json("tables")}
    assert (tables["silver_numbers"]["rows"], tables["silver_numbers"]["comment"]) == (5, "Even numbers")
    latest = as_json("events", "counting", "--update", "latest")
    assert {event["origin"]["update_id"] for event in latest} == {again["update_id"]}

    # The published event log answers the project's monitoring query, here and in Spark.
    text = (ROOT / "src/sql/expectation_failures.sql").read_text(encoding="utf-8")
    failures = as_json("sql", "-", input=text)
    found = {(f["expectation_name"], f["failed_records"], f["failure_rate_pct"]) for f in failures}
    assert found == {("even", 5, 50.0), ("small", 2, 20.0)}
    assert as_json("sql", "-", "--spark", input=text) == failures
    updates = (ROOT / "src/sql/pipeline_updates.sql").read_text(encoding="utf-8")
    states = as_json("sql", "-", input=updates)
    assert [row["state"] for row in states] == ["COMPLETED", "COMPLETED"]
    assert as_json("sql", "-", "--spark", input=updates) == states


def test_a_failed_expectation_is_exit_code_1_with_its_name_and_the_log(project: Path, home: Path) -> None:
    (project / "counting.py").write_text(PIPELINE.replace("LIMIT", "10"), encoding="utf-8")
    result = lakehouse("run", "nightly")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: nightly failed: task 'count': ")
    assert "gold_sum" in line
    assert "sum_is_low" in line
    assert line.endswith(f"Log: {home / 'logs' / 'run.log'}")
    assert (home / "logs" / "run.log").exists()
    assert "nightly FAILED in" in result.stdout


def test_a_job_runs_its_pipelines(project: Path) -> None:
    result = as_json("run", "nightly", "--param", "environment=local")
    assert (result["job"], result["state"]) == ("nightly", "SUCCESS")
    (task,) = result["tasks"]
    assert (task["key"], task["update"]["pipeline"]) == ("count", "counting")


def test_validate_only_writes_no_table_of_the_pipeline(project: Path, home: Path) -> None:
    assert lakehouse("run", "counting", "--validate-only").exit_code == 0
    assert [t.table for t in Storage(home).tables() if not t.table.startswith("event_log")] == []


def test_an_unknown_dataset_to_refresh_is_exit_code_2(project: Path) -> None:
    result = lakehouse("run", "counting", "--full-refresh", "silver_number")
    assert result.exit_code == 2
    assert "silver_numbers" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_second_run_on_the_same_folder_is_exit_code_3(project: Path, home: Path) -> None:
    with Storage(home).exclusive("lakehouse run nightly"):
        result = lakehouse("run", "counting")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "lakehouse run nightly" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("countin",), "Unknown job or pipeline 'countin'. Did you mean 'counting'?"),
        (("nightly", "--refresh", "x"), "--refresh is for a pipeline, and 'nightly' is a job."),
        (("nightly", "--full-refresh-all"), "--full-refresh-all is for a pipeline"),
        (("nightly", "--validate-only"), "--validate-only is for a pipeline"),
        (("counting", "--param", "a=1"), "--param is for a job, and 'counting' is a pipeline."),
        (("nightly", "--param", "a"), "'a' is not a parameter: write --param name=value."),
        (("nightly", "--param", "env=dev"), "Unknown job parameter 'env'."),
        (("nightly", "--env", "production"), "Unknown environment 'production'."),
    ],
)
def test_wrong_usage_of_run_starts_nothing(project: Path, home: Path, arguments: Any, message: str) -> None:
    result = lakehouse("run", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not home.exists()


def test_deleted_rows_are_neither_read_nor_counted(spark: SparkSession, home: Path) -> None:
    storage = Storage(home)
    name = TableName("main_dev", "data_eng", "silver_numbers")
    path = str(storage.table_path(name))
    spark.sql(
        f"CREATE TABLE delta.`{path}` (id BIGINT, kind STRING) USING delta CLUSTER BY (id) "
        "TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')"
    )
    spark.range(1000).selectExpr("id", "'a' AS kind").coalesce(1).write.format("delta").mode("append").save(
        path
    )
    spark.sql(f"DELETE FROM delta.`{path}` WHERE id % 10 = 0")
    log = "".join(file.read_text() for file in (storage.table_path(name) / "_delta_log").glob("*.json"))
    assert '"deletionVector"' in log  # else this test would test nothing

    assert Table.named(storage, name).figures().rows == 900
    assert rows_of(query("SELECT count(*), min(id) FROM silver_numbers", storage)) == [(900, 1)]
    assert len(rows_of(query("SELECT * FROM silver_numbers", storage))) == 900


# Every statement, in Spark and without: the same rows.
STATEMENTS = [
    "SELECT count(*), sum(price), avg(quantity) FROM silver_orders",
    "SELECT order_id, ship.city, price * quantity AS total FROM silver_orders WHERE quantity > 1 ORDER BY 1",
    "SELECT order_id, tag FROM silver_orders LATERAL VIEW OUTER explode(tags) t AS tag ORDER BY 1, 2",
    "SELECT order_id, explode(tags) AS tag FROM silver_orders ORDER BY 1, 2",
    "SELECT date_trunc('DAY', order_timestamp) AS d, count(*) AS n FROM silver_orders GROUP BY 1 ORDER BY 1",
    "SELECT dayofweek(order_date), weekday(order_date), weekofyear(order_date), quarter(order_date) "
    "FROM silver_orders",
    "SELECT timestampdiff(MINUTE, min(order_timestamp), max(order_timestamp)) FROM silver_orders",
    "SELECT timestampdiff(MONTH, timestamp'2024-01-31', timestamp'2024-02-29'), "
    "timestampdiff(MONTH, timestamp'2024-03-31', timestamp'2024-02-29'), "
    "datediff(timestamp'2024-01-02 00:00:01', timestamp'2024-01-01 23:59:59')",
    "SELECT order_id, row_number() OVER (PARTITION BY customer_id ORDER BY price DESC) AS r "
    "FROM silver_orders ORDER BY 1",
    "SELECT max_by(order_id, price), count_if(quantity > 1), count(DISTINCT customer_id) FROM silver_orders",
    "SELECT customer_id, sum(quantity) AS q FROM silver_orders GROUP BY customer_id HAVING sum(quantity) > 3 "
    "ORDER BY q DESC NULLS LAST",
    "SELECT customer_id FROM silver_orders ORDER BY customer_id",
    "SELECT date_format(order_timestamp, 'yyyy-MM-dd HH:mm:ss') AS t FROM silver_orders ORDER BY t",
    "SELECT size(tags), array_contains(tags, 'new'), concat_ws('-', order_id, customer_id), "
    "coalesce(customer_id, '?') FROM silver_orders WHERE tags IS NOT NULL ORDER BY order_id",
    "SELECT 7 / 2, 7 div 2, -7 % 3, pmod(-7, 3), round(2.5), try_divide(1, 0), 1 <=> NULL",
    "SELECT regexp_replace('a-b', '(a)-(b)', '$2-$1'), split('a,b', ',')[1], substring('abc', 2, 1), "
    "lpad('7', 3, '0'), upper('x'), length('abc'), trim('  x ')",
    "SELECT get_json_object(details, '$.flow_progress.metrics.num_output_rows') AS n, "
    "get_json_object(details, '$.flow_progress.metrics') AS m "
    "FROM event_log_medallion_dlt_pipeline ORDER BY id",
    "SELECT e.name, sum(e.failed_records) AS failed FROM (SELECT explode(from_json("
    "get_json_object(details, '$.flow_progress.data_quality.expectations'), "
    "'array<struct<name string, failed_records bigint>>')) AS e FROM event_log_medallion_dlt_pipeline) "
    "GROUP BY e.name ORDER BY e.name",
    "SELECT origin.update_id, count(*) AS n FROM event_log_medallion_dlt_pipeline GROUP BY 1 ORDER BY 1",
    "SELECT error.exceptions[0].message AS m FROM event_log_medallion_dlt_pipeline "
    "WHERE level = 'ERROR' ORDER BY id",
    "WITH silver_orders AS (SELECT order_id FROM silver_orders) SELECT count(*) "
    "FROM data_eng.silver_orders a JOIN silver_orders b USING (order_id)",
]


def test_every_statement_answers_as_in_spark(spark: SparkSession, home: Path) -> None:
    from lakerun.sql.in_spark import query_in_spark

    storage = Storage(home)
    lakehouse_tables(storage)
    different = []
    for sql in STATEMENTS:
        quick, in_spark = query(sql, storage), query_in_spark(sql, storage, spark)
        if _comparable(rows_of(quick)) != _comparable(rows_of(in_spark)):
            different.append((sql, rows_of(quick), rows_of(in_spark)))
    assert different == []


def _comparable(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Decimals as floats: an average or a quotient has another scale in Spark."""
    return [tuple(float(v) if hasattr(v, "as_tuple") else v for v in row) for row in rows]

"""Dashboards, trends and the checking notebook on a lakehouse that really ran, compared with other counts."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from ecommerce_lakehouse.activation.sync.tables import SCHEMAS
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.observability.health import current_health
from lakerun.cli.project import load_project
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.results import JobResult, TaskUpdate
from lakerun.jobs.runner import run_job
from lakerun.sql.dashboards import dashboard_problems
from lakerun.sql.query import query
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage, TableName
from tests.dashboards import dashboard_files, read_dashboard

ROOT = Path(__file__).parents[2]
EARNS = "status NOT IN ('cancelled', 'returned')"


@dataclass
class Lakehouse:
    """A data folder of three pipelines, the jobs that run on it, and how their tasks ended."""

    storage: Storage
    spark: SparkSession
    outcomes: dict[str, Any] = field(default_factory=dict)

    def run(self, job: str, parameters: dict[str, str] | None = None) -> JobResult:
        bundle = load_project()
        return run_job(
            bundle.jobs[job],
            parameters or {},
            resources=bundle,
            task_runner=LocalTaskRunner(self.storage, lambda: self.spark),
            on_task=self._note,
        )

    def _note(self, update: TaskUpdate) -> None:
        if update.outcome:
            self.outcomes[update.key] = update.outcome

    def sql(self, text: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = query(text, self.storage).to_pylist()
        return rows

    def one(self, text: str) -> Any:
        ((value,),) = (row.values() for row in self.sql(text))
        return value

    def shown(self, dataset: str) -> list[dict[str, Any]]:
        """The rows of a dashboard's dataset."""
        boards = [read_dashboard(file) for file in dashboard_files(ROOT)]
        (text,) = [each.sql for board in boards for each in board.datasets if each.name == dataset]
        return self.sql(text)

    def events(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Pipeline and details of every event of a kind, read without SQL."""
        found = []
        for name in self.storage.tables():
            if name.table.startswith("event_log_"):
                rows = DeltaTable(self.storage.table_path(name)).to_pyarrow_table().to_pylist()
                found += [
                    (row["origin"]["dataset_name"] or "", json.loads(row["details"])[kind])
                    for row in rows
                    if row["event_type"] == kind
                ]
        return found


@pytest.fixture(scope="module")
def lakehouse(three_pipelines: Path, spark: SparkSession) -> Iterator[Lakehouse]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(three_pipelines))
        patch.chdir(ROOT)
        yield Lakehouse(Storage(three_pipelines), spark)


def test_every_query_of_the_dashboards_fits_the_pipelines_tables(lakehouse: Lakehouse) -> None:
    schemas = {
        name.table: StructType.fromJson(
            json.loads(Table.named(lakehouse.storage, name).delta.schema().to_json())
        )
        for name in lakehouse.storage.tables()
        if (name.catalog, name.schema) == ("local", "data_eng")
    }
    # Nothing was sent: the tables of activation do not exist.
    sending = {name: StructType.fromDDL(columns) for name, columns in SCHEMAS.items()}
    assert not sending.keys() & schemas.keys()
    assert dashboard_problems(load_project().dashboards.values(), schemas | sending) == []
    for file in dashboard_files(ROOT):
        for dataset in read_dashboard(file).datasets if file.name != "activation.lvdash.json" else ():
            assert lakehouse.sql(dataset.sql), dataset.name
    assert {row["table_name"] for row in lakehouse.shown("quarantine_lines")} == {
        name for name in schemas if name.startswith("quarantine_")
    }


def test_the_monitoring_dashboard_agrees_with_the_event_logs(lakehouse: Lakehouse) -> None:
    updates = lakehouse.shown("updates")
    assert sorted((row["pipeline_name"], row["state"]) for row in updates) == [
        *[("medallion_dlt_pipeline", "COMPLETED")] * 2,
        *[("ml_features_pipeline", "COMPLETED")] * 2,
        ("order_analytics_pipeline", "COMPLETED"),
    ]
    written: dict[str, int] = {}
    judged = failed = 0
    for name, progress in lakehouse.events("flow_progress"):
        metrics = progress.get("metrics", {})
        rows = metrics.get("num_upserted_rows", metrics.get("num_output_rows"))
        if rows is not None:
            assert ("num_output_rows" in metrics) != ("num_upserted_rows" in metrics)
            short = name.split(".")[-1]
            written[short] = written.get(short, 0) + rows
        for item in progress.get("data_quality", {}).get("expectations", []):
            failed += item["failed_records"]
            judged += item["passed_records"] + item["failed_records"]
    assert {row["dataset_name"]: row["rows_written"] for row in lakehouse.shown("rows_written")} == written
    (totals,) = lakehouse.shown("totals")
    assert (totals["failed_records"], totals["judged_records"]) == (failed, judged)
    assert 0 < failed < judged
    assert sum(row["failed_records"] for row in lakehouse.shown("expectations")) == failed
    assert (totals["updates"], totals["success_rate_percent"]) == (5, 100.0)
    defined = {name.split(".")[-1] for name, _ in lakehouse.events("dataset_definition")}
    fresh = lakehouse.shown("freshness")
    assert {row["dataset_name"] for row in fresh} == defined
    assert all(0 <= row["age_seconds"] < 3600 for row in fresh)


def test_health_agrees_with_the_same_questions_in_sqlite(lakehouse: Lakehouse) -> None:
    """The event logs in another database, asked in its own SQL."""
    logs = sqlite3.connect(":memory:")
    logs.execute("CREATE TABLE log (seconds REAL, kind TEXT, update_id TEXT, dataset TEXT, details TEXT)")
    for name in lakehouse.storage.tables():
        if name.table.startswith("event_log_"):
            for row in DeltaTable(lakehouse.storage.table_path(name)).to_pyarrow_table().to_pylist():
                origin = row["origin"]
                place = (origin["update_id"], (origin["dataset_name"] or "").split(".")[-1])
                values = (row["timestamp"].timestamp(), row["event_type"], *place, row["details"])
                logs.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?)", values)
    health = current_health(get_config("local"))
    found = {(check.name, check.subject): check.figure for check in health.checks}

    ends = "SELECT json_extract(details, '$.update_progress.state') AS state FROM log"
    (rate,) = logs.execute(
        f"SELECT 100.0 * sum(state = 'COMPLETED') / sum(state IN ('COMPLETED', 'FAILED')) FROM ({ends})"
    ).fetchone()
    assert found["success rate", ""] == rate == 100
    failures = logs.execute(
        """
        SELECT dataset, min(100, 100.0 * sum(failed) / max(judged))
        FROM (
          SELECT json_extract(e.value, '$.dataset') AS dataset, json_extract(e.value, '$.name') AS name,
            sum(json_extract(e.value, '$.failed_records')) AS failed,
            sum(json_extract(e.value, '$.failed_records') + json_extract(e.value, '$.passed_records'))
              AS judged
          FROM log, json_each(details, '$.flow_progress.data_quality.expectations') AS e
          GROUP BY 1, 2
        )
        GROUP BY dataset HAVING max(judged) > 0
        """
    ).fetchall()
    for dataset, share in failures:
        assert found["expectation failures", dataset.split(".")[-1]] == pytest.approx(share), dataset
    assert max(share for _, share in failures) > 5
    times = logs.execute(
        """
        SELECT dataset, max(seconds - began), max(seconds)
        FROM log JOIN (SELECT update_id, min(seconds) AS began FROM log GROUP BY update_id) USING (update_id)
        WHERE json_extract(details, '$.flow_progress.status') = 'COMPLETED' AND dataset <> ''
        GROUP BY dataset
        """
    ).fetchall()
    assert len(times) >= 30
    latency = {dataset: value for (name, dataset), value in found.items() if name == "latency"}
    assert latency == {dataset: int(longest) for dataset, longest, _ in times}
    age = {dataset: value for (name, dataset), value in found.items() if name == "freshness"}
    assert age == {dataset: int(health.now.timestamp() - newest) for dataset, _, newest in times}
    (ran,) = logs.execute(
        """
        SELECT sum(CAST(ended - began AS INTEGER)) FROM (
          SELECT min(seconds) AS began, max(seconds) AS ended FROM log
          WHERE kind IN ('create_update', 'update_progress') GROUP BY update_id)
        """
    ).fetchone()
    volume = Path(get_config("local").volume_path)
    files = [*volume.glob("*_raw/*"), *volume.glob("orders/landing/*")]
    arrived = sum(file.stat().st_size for file in files if file.is_file())
    cost = found["cost", ""]
    assert cost is None if arrived < 10**6 else cost == pytest.approx(ran / (arrived / 10**9))


def test_quarantine_on_the_dashboard_agrees_with_the_tables(lakehouse: Lakehouse) -> None:
    lines = {row["table_name"]: row["quarantined_lines"] for row in lakehouse.shown("quarantine_lines")}
    assert lines == {name: lakehouse.one(f"SELECT count(*) FROM {name}") for name in lines}
    reasons = sum(row["quarantined_lines"] for row in lakehouse.shown("quarantine_reasons"))
    assert reasons == sum(lakehouse.one(f"SELECT sum(size(broken_rules)) FROM {name}") for name in lines)


def test_the_business_dashboard_agrees_with_silver(lakehouse: Lakehouse) -> None:
    revenue = lakehouse.one(f"SELECT sum(price * quantity) FROM silver_orders WHERE {EARNS}")
    orders = lakehouse.one(f"SELECT count(*) FROM silver_orders WHERE {EARNS}")
    days = lakehouse.shown("daily_sales")
    assert sum(day["revenue"] for day in days) == Decimal(revenue) > 0
    assert sum(day["orders"] for day in days) == orders
    assert sum(row["revenue"] for row in lakehouse.shown("categories")) == Decimal(revenue)
    people = lakehouse.one(
        "SELECT count(*) FROM (SELECT customer_id FROM silver_orders UNION "
        "SELECT customer_id FROM silver_customers)"
    )
    assert sum(row["customers"] for row in lakehouse.shown("customer_segments")) == people
    tiers = lakehouse.shown("value_tiers")
    assert sum(row["customers"] for row in tiers) == people
    assert sum(row["historical_value"] for row in tiers) == Decimal(revenue)
    best = lakehouse.sql(
        f"SELECT product_id, sum(price * quantity) AS revenue FROM silver_orders WHERE {EARNS} "
        "GROUP BY product_id ORDER BY revenue DESC, product_id LIMIT 1"
    )
    assert lakehouse.shown("top_products")[0]["product_id"] == best[0]["product_id"]
    batches = lakehouse.one(f"SELECT sum(price * items_ordered) FROM silver_order_batches WHERE {EARNS}")
    assert sum(day["revenue"] for day in lakehouse.shown("order_days")) == Decimal(batches) > 0


def test_the_checking_notebook_passes_and_reports_its_figures(lakehouse: Lakehouse) -> None:
    result = lakehouse.run("pipeline_testing_job")
    assert [(task.state, task.error) for task in result.tasks] == [("SUCCESS", None)]
    outcome = lakehouse.outcomes["pipeline_testing"]
    report = json.loads(outcome.result)
    assert (report["environment"], report["passed"]) == ("local", True)
    reconciled = {
        check["subject"]: check["expected"] for check in report["checks"] if check["name"] == "reconciliation"
    }
    assert reconciled == {
        name: f"{lakehouse.one(f'SELECT count(*) FROM bronze_{name}'):,} lines"
        for name in ("orders", "customer_profiles", "customer_activity", "order_batches")
    }
    (totals,) = lakehouse.shown("totals")
    assert sum(row["failed_records"] for row in report["expectations"]) == totals["failed_records"]
    assert "uniqueness" in outcome.logs
    assert "Pipeline Environment: local" in outcome.logs


def test_the_checking_notebook_fails_the_job_if_an_order_is_lost(
    lakehouse: Lakehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = Storage(tmp_path / "lakehouse")
    shutil.copytree(lakehouse.storage.home, damaged.home)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(damaged.home))
    orders = DeltaTable(damaged.table_path(TableName("local", "data_eng", "silver_orders")))
    lost = lakehouse.one("SELECT min(order_id) FROM silver_orders")
    orders.delete(f"order_id = '{lost}'")
    result = Lakehouse(damaged, lakehouse.spark).run("pipeline_testing_job")
    (task,) = result.tasks
    assert task.state == "FAILED"
    lines = lakehouse.one("SELECT count(*) FROM bronze_orders")
    assert task.error
    assert task.error.startswith("AssertionError: reconciliation of orders: ")
    assert f"= {lines - 1}, not {lines} lines" in task.error

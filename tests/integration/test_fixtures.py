"""The repository's own pipelines on the inputs in `fixtures`, compared with the expected outputs there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from integration.lab import dataset, failed
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from lakerun.bundles.load import load_bundle
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.runner import run_job
from lakerun.pipelines.results import UpdateResult
from lakerun.pipelines.update import Selection, run_update
from lakerun.tables.storage import Storage, TableName

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
TABLES = (
    "silver_orders",
    "silver_customers",
    "silver_customer_activity",
    "gold_daily_sales",
    "gold_customer_segments",
)
ENTITIES = {"orders": "orders", "customer_profiles": "customers", "customer_activity": "customer_activity"}


@dataclass(frozen=True)
class Outcome:
    """One set of fixtures after both pipelines ran on it."""

    name: str
    config: LakehouseConfig
    storage: Storage
    medallion: UpdateResult
    features: UpdateResult

    def expected(self, table: str) -> list[dict[str, Any]]:
        file = FIXTURES / self.name / "expected" / f"{table}.json"
        rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return rows

    def rows(self, table: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
        """A table's rows, read without Spark, values as the expected files have them."""
        name = TableName(self.config.catalog, self.config.schema, table)
        reader = QueryBuilder().register("t", DeltaTable(str(self.storage.table_path(name))))
        found = reader.execute(f"SELECT {', '.join(columns or ['*'])} FROM t").read_all()
        return [{k: _plain(v) for k, v in row.items()} for row in pa.table(found).to_pylist()]

    def lines(self, entity: str) -> list[bytes]:
        """Every line that arrived."""
        files = sorted((FIXTURES / self.name / f"{entity}_raw").iterdir())
        return [line for file in files for line in file.read_bytes().removesuffix(b"\n").split(b"\n")]


@pytest.fixture(scope="module", params=["clean", "dirty"])
def outcome(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outcome]:
    """Both pipelines, once per set: an update is the costly part of these tests."""
    storage = Storage(tmp_path_factory.mktemp(request.param) / "lakehouse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(storage.home))
        config = get_config("local")
        for entity in ENTITIES:
            arrived = FIXTURES / request.param / f"{entity}_raw"
            shutil.copytree(arrived, config.source_path(entity))
        names = {"catalog": config.catalog, "schema": config.schema, "volume": config.volume}
        bundle = load_bundle(ROOT, variables={"environment": "local", **names})
        results = [
            run_update(bundle.pipelines[pipeline], storage=storage)
            for pipeline in ("medallion_dlt_pipeline", "ml_features_pipeline")
        ]
        yield Outcome(request.param, config, storage, *results)


def test_both_pipelines_complete(outcome: Outcome) -> None:
    for result in (outcome.medallion, outcome.features):
        assert (result.state, result.error) == ("COMPLETED", None)
        assert {each.status for each in result.datasets} == {"COMPLETED"}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_exactly_the_expected_rows(outcome: Outcome, table: str) -> None:
    expected = outcome.expected(table)
    found = outcome.rows(table, list(expected[0]))
    assert sorted(found, key=lambda row: next(iter(row.values()))) == expected


@pytest.mark.parametrize("entity", ENTITIES.values())
def test_every_bad_line_is_in_quarantine_with_every_reason(outcome: Outcome, entity: str) -> None:
    columns = ["source_file", "raw_text", "broken_rules"]
    found = [
        {
            "file": row["source_file"].rsplit("/", 1)[1],
            "raw_text": row["raw_text"],
            "broken_rules": sorted(row["broken_rules"]),
        }
        for row in outcome.rows(f"quarantine_{entity}", columns)
    ]
    assert sorted(found, key=lambda row: (row["file"], row["raw_text"])) == outcome.expected(
        f"quarantine_{entity}"
    )


@pytest.mark.parametrize(("source", "entity"), ENTITIES.items())
def test_every_line_is_in_bronze_and_in_exactly_one_place_after_it(
    outcome: Outcome, source: str, entity: str
) -> None:
    lines = outcome.lines(source)
    assert sorted(row["raw_line"] for row in outcome.rows(f"bronze_{source}")) == sorted(lines)
    duplicates = {row["table"]: row["rows"] for row in outcome.expected("duplicates")}
    counted = len(outcome.rows(f"silver_{entity}_duplicates"))
    assert counted == duplicates[f"silver_{entity}_duplicates"]
    kept, held = len(outcome.rows(f"silver_{entity}")), len(outcome.rows(f"quarantine_{entity}"))
    assert kept + held + counted == len(lines)
    # The raw bytes of what is in quarantine are those that arrived.
    assert {row["raw_line"] for row in outcome.rows(f"quarantine_{entity}")} <= set(lines)


def test_the_lines_of_every_entity_reconcile(outcome: Outcome) -> None:
    found = [
        row
        for pipeline in ("medallion", "ml_features")
        for row in outcome.rows(f"quality_reconciliation_{pipeline}")
    ]
    assert sorted(found, key=lambda row: row["entity"]) == outcome.expected("quality_reconciliation")


def test_no_dataset_fails_a_rule_of_its_own(outcome: Outcome) -> None:
    rows = {
        (row["dataset"], row["rule"]): row
        for pipeline in ("medallion", "ml_features")
        for row in outcome.rows(f"quality_checks_{pipeline}")
    }
    assert {row["verdict"] for row in rows.values()} == {"passed", "warned"}
    # Some orders are of customers without a profile.
    known = {row["customer_id"] for row in outcome.expected("silver_customers")}
    strangers = [row for row in outcome.expected("silver_orders") if row["customer_id"] not in known]
    answer = rows["silver_orders", "customer_known"]
    assert (answer["violations"], answer["rows"]) == (len(strangers), len(outcome.expected("silver_orders")))
    # The newest order and the newest profile: 04-30 00:00 and 07:00, 03-07 01:30 and 03-01 10:00.
    fresh = rows["silver_orders", "orders_fresh"]
    lag = {"clean": 7 * 3600, "dirty": -(5 * 86_400 + 15 * 3600 + 1800)}
    assert (fresh["verdict"], fresh["lag_seconds"]) == ("passed", lag[outcome.name])
    assert rows["bronze_orders", "line_not_empty"]["violations"] == int(outcome.name == "dirty")


def test_the_summary_counts_warnings(outcome: Outcome) -> None:
    dirty = outcome.name == "dirty"
    # In the dirty set one record of each source has unexpected columns, and one line is empty.
    for result, entity in (
        (outcome.medallion, "orders"),
        (outcome.medallion, "customers"),
        (outcome.features, "customer_activity"),
    ):
        assert failed(result, f"silver_{entity}_parsed")["no_unexpected_columns"] == int(dirty)
        broken = [rule for row in outcome.expected(f"quarantine_{entity}") for rule in row["broken_rules"]]
        counts = failed(result, f"silver_{entity}")
        assert counts == {rule: broken.count(rule) for rule in counts}
        assert dataset(result, f"silver_{entity}").rows_dropped == len(
            outcome.expected(f"quarantine_{entity}")
        )
    assert failed(outcome.medallion, "bronze_orders") == {"line_not_empty": int(dirty)}


def test_the_expected_files_match_the_inputs() -> None:
    script = FIXTURES / "derive_expected.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_corrected_orders_arrive_once_whatever_runs_again(outcome: Outcome, spark: SparkSession) -> None:
    """The last test, as it changes the tables: prices corrected by a job, through the stream."""
    if outcome.name == "clean":
        return
    config, storage = outcome.config, outcome.storage
    names = {"catalog": config.catalog, "schema": config.schema, "volume": config.volume}
    bundle = load_bundle(ROOT, variables={"environment": "local", **names})
    correction = {
        "quarantine": "orders",
        "field": "price",
        "expression": "'1.20'",
        "where": "order_id IN ('O-2007', 'O-2009')",  # "abc" and -3.50
        "reason": "typed wrong",
    }
    tables = ("bronze_orders", "silver_orders_parsed", "silver_orders", "quarantine_orders")
    checked = ("silver_orders_duplicates", "quality_reconciliation_medallion")
    for selection in (
        Selection(refresh=(*tables, *checked)),
        Selection(refresh=checked, full_refresh=tables),
    ):
        job = run_job(
            bundle.jobs["replay_quarantine"],
            correction,
            resources=bundle,
            task_runner=LocalTaskRunner(storage, lambda: spark),
            on_task=lambda update: None,
        )
        assert [(task.state, task.error) for task in job.tasks] == [("SUCCESS", None)]
        update = run_update(bundle.pipelines["medallion_dlt_pipeline"], storage=storage, selection=selection)
        assert (update.state, update.error) == ("COMPLETED", None)
        before = {row["order_id"]: row["price"] for row in outcome.expected("silver_orders")}
        after = {row["order_id"]: row["price"] for row in outcome.rows("silver_orders")}
        assert after == before | {"O-2007": "1.20", "O-2009": "1.20"}
        assert len(outcome.rows("bronze_orders")) == len(outcome.lines("orders")) + 2
        assert len(outcome.rows("quarantine_orders")) == len(outcome.expected("quarantine_orders"))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    return str(value) if isinstance(value, Decimal | date) else value

"""A new pipeline is a folder, a resource file and a rules module: no other file names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.workspace.cli_lab import ROOT, copy_project

pytestmark = pytest.mark.long
FILES = {
    "src/pipelines/returns/gold.py": """
from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.config import get_config, log_pipeline_config
from ecommerce_lakehouse.quality.expectations import expect_rules
from ecommerce_lakehouse.quality.rules import rules_for

config = get_config()
log_pipeline_config(config)


@dp.materialized_view(name=config.get_table_name("gold", "returns"), comment="Returned orders")
@expect_rules(rules_for("gold_returns", config))
def gold_returns() -> DataFrame:
    orders = SparkSession.active().read.table(config.get_table_name("silver", "orders"))
    return orders.where("status = 'returned'").select("order_id", "price")
""",
    "src/pipelines/returns/quality.py": """
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.datasets import declare_quality

declare_quality("returns", [], get_config())
""",
    "src/ecommerce_lakehouse/quality/rules/returns.py": """
from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.quality.rule import DatasetRule, Rule, RuleSet, Unique


def rules(config: LakehouseConfig) -> dict[str, RuleSet]:
    return {
        "gold_returns": RuleSet(
            rules=(Rule("has_price", "price IS NOT NULL", "warn", "A return is paid back"),),
            checks=(DatasetRule("one_row_per_key", Unique(("order_id",)), "fail", "Paid back once"),),
            owner="returns desk",
        )
    }
""",
}
ORDERS_SCHEMA = pa.schema(
    [("order_id", pa.string()), ("price", pa.decimal128(10, 2)), ("status", pa.string())]
)

# Runs the copy's code: every input line is a command, every output line its result.
DRIVER = """
import json, sys
from typer.testing import CliRunner
from ecommerce_lakehouse.cli.main import command_line

for line in sys.stdin:
    result = CliRunner().invoke(command_line(), json.loads(line))
    print(json.dumps([result.exit_code, result.stdout, result.stderr]), flush=True)
"""


class Project:
    """A copy of this project with its data folder, and a process that runs its commands."""

    def __init__(self, folder: Path) -> None:
        self.root, self.home = folder / "project", folder / "lakehouse"
        copy_project(self.root)
        for name, text in FILES.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")
        resources = ROOT / "resources"
        resource = (resources / "ml_features_pipeline.pipeline.yml").read_text(encoding="utf-8")
        new = self.root / "resources" / "returns_pipeline.pipeline.yml"
        new.write_text(resource.replace("ml_features", "returns"), encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root / "src"), "LAKEHOUSE_HOME": str(self.home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def orders(self, *rows: tuple[str, str | None]) -> None:
        """Add returned orders to silver: id and price."""
        values = [
            {"order_id": id, "price": None if price is None else Decimal(price), "status": "returned"}
            for id, price in rows
        ]
        path = self.home / "tables" / "local" / "data_eng" / "silver_orders"
        write_deltalake(path, pa.Table.from_pylist(values, ORDERS_SCHEMA), mode="append")

    def __call__(self, *command: str) -> tuple[int, str, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        code, out, err = json.loads(self.process.stdout.readline())
        return code, out, err

    def json(self, *command: str) -> Any:
        return json.loads(self(*command, "--json")[1])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("new_pipeline"))
    yield made
    made.process.communicate(timeout=60)


def test_nothing_is_wrong_with_it(project: Project) -> None:
    code, out, err = project("validate")
    assert (code, err) == (0, "")
    assert out.startswith("Nothing is wrong")


def test_it_runs_and_its_rules_are_enforced(project: Project) -> None:
    project.orders(("o1", "10.00"), ("o2", None), ("o3", "5.00"))
    code, out, err = project("run", "returns_pipeline")
    assert code == 0, out + err
    assert "has_price warned 1" in out
    project.orders(("o3", "5.00"))  # paid back twice
    code, out, err = project("run", "returns_pipeline")
    assert code == 1
    assert "failed expectation 'no_failed_check'" in out + err
    assert '"requirement":"unique (order_id)","severity":"fail","owner":"returns desk"' in out + err


def test_its_events_are_among_those_of_all_pipelines(project: Project) -> None:
    updates = (
        "SELECT count(DISTINCT update_id) AS n FROM pipeline_events WHERE pipeline_name = 'returns_pipeline'"
    )
    assert project.json("sql", updates) == [{"n": 2}]
    states = project.json("sql", "-f", "src/sql/pipeline_updates.sql")
    assert [row["state"] for row in states] == ["FAILED", "COMPLETED"]
    failures = project.json("sql", "-f", "src/sql/expectation_failures.sql")
    assert ("has_price", 1, 33.33) in {
        (row["expectation_name"], row["failed_records"], row["failure_rate_pct"]) for row in failures
    }
    ended = (
        "SELECT dataset_name, message FROM pipeline_events WHERE pipeline_name = 'returns_pipeline' "
        "AND event_type = 'flow_progress' AND (message LIKE '%COMPLETED%' OR message LIKE '%FAILED%')"
    )
    found = Counter(row["dataset_name"] for row in project.json("sql", ended))
    place = "local.data_eng"
    assert found == {f"{place}.gold_returns": 2, f"{place}.quality_checks_returns": 2}


def test_its_datasets_have_their_rows_in_the_health_check(project: Project) -> None:
    checks = {(check["name"], check["subject"]): check for check in project.json("health")["checks"]}
    # One of the two updates completed.
    assert checks["success rate", ""]["figure"] == 50.0
    # Judged in each update: every return (3, then 4; one has no price), and one answer by two rules (one of
    # which fails in the second update).
    failures = {
        name: check["figure"] for (kind, name), check in checks.items() if kind == "expectation failures"
    }
    assert failures == pytest.approx({"gold_returns": 100 * 2 / 7, "quality_checks_returns": 50})
    datasets = {subject for name, subject in checks if name in ("freshness", "latency")}
    assert datasets == {"gold_returns", "quality_checks_returns"}

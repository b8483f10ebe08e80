"""The main job as a user runs it: once for all tests of this folder, since it takes longest."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.generation.job import activation_main
from lakerun.tables.storage import Storage
from tests.rows import comparable, read_rows

# LAKEHOUSE_TEST_ORDERS=1000000 compares a large lakehouse with its manifests, which takes minutes.
ORDERS = int(os.environ.get("LAKEHOUSE_TEST_ORDERS", "700"))
SIZES = {"orders": ORDERS, "customer_activity": ORDERS * 9 // 7, "customers": max(80, ORDERS // 10)}
# Columns that differ between two runs of the same data: when and where they ran.
WHEN_AND_WHERE = ("ingested_at", "environment", "source_file")
TABLES = ("bronze", "silver", "quarantine", "gold", "feature")


@dataclass(frozen=True)
class MainJob:
    """The data folder, which no test changes; what each run of the job printed as JSON; rows by table after
    the first run, which a large lakehouse leaves out."""

    home: Path
    runs: list[dict[str, Any]]
    first_rows: dict[str, Counter[str]]


@pytest.fixture(scope="session")
def main_job(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> MainJob:
    """The main job on a first small batch and the next day's, and once more on the day after."""
    home = tmp_path_factory.mktemp("e2e") / "lakehouse"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(home))
        patch.chdir(Path(__file__).parents[2])
        sizes = [part for key, value in SIZES.items() for part in ("--param", f"{key}={value}")]
        _lakehouse("run", "generate_sample_data", *sizes)
        first = _lakehouse("run", "e2e_pipeline_job")
        rows = rows_of_tables(home, "local", "data_eng") if ORDERS < 10_000 else {}
        return MainJob(home, [first, _lakehouse("run", "e2e_pipeline_job")], rows)


def rows_of_tables(home: Path, catalog: str, schema: str) -> dict[str, Counter[str]]:
    """The rows of every table of the two main pipelines as multisets."""
    found = {}
    for table in Storage(home).tables():
        if (table.catalog, table.schema) != (catalog, schema) or not table.table.startswith(TABLES):
            continue
        if "order_batches" in table.table or table.table.startswith("gold_order_"):
            continue  # their generator takes the time of day
        rows = read_rows(Storage(home).table_path(table))
        found[table.table] = Counter(comparable(row, WHEN_AND_WHERE) for row in rows)
    return found


@pytest.fixture(scope="session")
def three_pipelines(main_job: MainJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the main job's data folder with the order analytics beside it; no test changes it."""
    home = tmp_path_factory.mktemp("three") / "lakehouse"
    shutil.copytree(main_job.home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(home))
        patch.chdir(Path(__file__).parents[2])
        _lakehouse("run", "order_analytics_job")
    return home


@pytest.fixture(scope="session")
def every_pipeline(three_pipelines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of these three with two batches of activation data and its pipeline; no test changes it."""
    home = tmp_path_factory.mktemp("every") / "lakehouse"
    shutil.copytree(three_pipelines, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(home))
        patch.chdir(Path(__file__).parents[2])
        activation_main(["--environment", "local", "--batches", "2"])
        _lakehouse("run", "activation_pipeline")
    return home


def _lakehouse(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(command_line(), [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed

"""The main job as a user runs it: once for all tests of this folder, since it takes longest."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line

# LAKEHOUSE_TEST_ORDERS=1000000 holds a large lakehouse to its manifests: a few minutes more.
ORDERS = int(os.environ.get("LAKEHOUSE_TEST_ORDERS", "700"))
SIZES = {"orders": ORDERS, "customer_activity": ORDERS * 9 // 7, "customers": max(80, ORDERS // 10)}


@dataclass(frozen=True)
class MainJob:
    """The data folder, which no test changes, and what each run of the job printed as JSON."""

    home: Path
    runs: list[dict[str, Any]]


@pytest.fixture(scope="session")
def main_job(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> MainJob:
    """The main job on a first small batch and the next day's, and once more on the day after."""
    home = tmp_path_factory.mktemp("e2e") / "lakehouse"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(home))
        patch.chdir(Path(__file__).parents[2])
        sizes = [part for key, value in SIZES.items() for part in ("--param", f"{key}={value}")]
        _lakehouse("run", "generate_sample_data", *sizes)
        return MainJob(home, [_lakehouse("run", "e2e_pipeline_job") for _ in range(2)])


def _lakehouse(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(command_line(), [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed

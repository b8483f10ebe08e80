"""A run whose memory is full: it ends soon, says what to do, and the next run finishes its work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

BUNDLE = """
bundle: {name: large}
resources:
  pipelines:
    large: {name: large, catalog: c, schema: s, libraries: [{file: {path: ./large.py}}]}
"""

# `wide` holds 600 MB in one array, which cannot be spilled.
PIPELINE = """
from pyspark import pipelines as dp
from pyspark.sql import SparkSession, functions as F

spark = SparkSession.active()


@dp.materialized_view(name="ids")
def ids():
    return spark.range(300_000)


@dp.materialized_view(name="wide")
def wide():
    texts = F.collect_list(F.concat(F.repeat(F.lit("x"), 2000), F.col("id").cast("string")))
    return spark.read.table("ids").agg(F.size(texts).alias("texts"), F.sum("id").alias("total"))


@dp.materialized_view(name="after")
def after():
    return spark.read.table("wide")
"""


def run(project: Path, memory: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lakerun.cli.main", "run", "large"],
        cwd=project,
        env=os.environ | {"LAKEHOUSE_HOME": str(project / "home"), "LAKEHOUSE_DRIVER_MEMORY": memory},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow  # two JVMs, and 600 MB
def test_a_run_whose_memory_is_full_ends_with_the_setting_and_the_next_one_goes_on(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    (tmp_path / "large.py").write_text(PIPELINE, encoding="utf-8")
    failed = run(tmp_path, "512m")
    told = (
        "Spark's memory of 512m is full. Give it more, such as LAKEHOUSE_DRIVER_MEMORY=1g, and run again: "
        "it continues where it stopped."
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"Error: large failed: Flow 'c.s.wide' failed: {told} Log: ")
    assert len(failed.stderr.splitlines()) == 1
    done = run(tmp_path, "3g")
    assert (done.returncode, done.stderr) == (0, "")
    rows = DeltaTable(tmp_path / "home/tables/c/s/after").to_pyarrow_table().to_pylist()
    assert rows == [{"texts": 300_000, "total": 300_000 * 299_999 // 2}]


def test_a_heap_in_which_spark_does_not_start_is_named_with_the_least_that_it_needs(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    (tmp_path / "large.py").write_text(PIPELINE, encoding="utf-8")
    refused = run(tmp_path, "300m")
    assert refused.returncode == 1
    assert refused.stderr == "Error: LAKEHOUSE_DRIVER_MEMORY=300m is too little: Spark needs over 450m.\n"

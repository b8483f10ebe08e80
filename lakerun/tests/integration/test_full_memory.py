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
  jobs:
    nightly:
      name: nightly
      tasks:
        - task_key: update
          pipeline_task: {pipeline_id: "${resources.pipelines.large.id}"}
        - task_key: count
          depends_on: [{task_key: update}]
          run_if: ALL_DONE
          spark_python_task: {python_file: ./count.py}
  pipelines:
    large: {name: large, catalog: c, schema: s, libraries: [{file: {path: ./large.py}}]}
"""

# `wide` holds 300 MB in one array, which cannot be spilled.
PIPELINE = """
from pyspark import pipelines as dp
from pyspark.sql import SparkSession, functions as F

spark = SparkSession.active()


@dp.materialized_view(name="ids")
def ids():
    return spark.range(150_000)


@dp.materialized_view(name="wide")
def wide():
    texts = F.collect_list(F.concat(F.repeat(F.lit("x"), 2000), F.col("id").cast("string")))
    return spark.read.table("ids").agg(F.size(texts).alias("texts"), F.sum("id").alias("total"))


@dp.materialized_view(name="after")
def after():
    return spark.read.table("wide")
"""

COUNT = "print(spark.table('c.s.ids').count(), 'ids')"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {"databricks.yml": BUNDLE, "large.py": PIPELINE, "count.py": COUNT}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run(project: Path, memory: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lakerun.cli.main", "run", "nightly"],
        cwd=project,
        env=os.environ | {"LAKEHOUSE_HOME": str(project / "home"), "LAKEHOUSE_DRIVER_MEMORY": memory},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow  # three JVMs, and 300 MB
def test_a_run_whose_memory_is_full_ends_with_the_setting_and_the_next_one_goes_on(project: Path) -> None:
    failed = run(project, "512m")
    told = (
        "Flow 'wide' failed: Spark's memory of 512m is full. Give it more, such as "
        "LAKEHOUSE_DRIVER_MEMORY=1g, and run again: it continues where it stopped."
    )
    assert failed.returncode == 0  # the job's last task succeeded
    assert "task nightly.update FAILED" in failed.stdout
    assert told in failed.stdout
    # In another JVM.
    assert "task nightly.count SUCCESS" in failed.stdout
    assert "150000 ids" in failed.stdout
    done = run(project, "3g")
    assert "task nightly.update SUCCESS" in done.stdout
    rows = DeltaTable(project / "home/tables/c/s/after").to_pyarrow_table().to_pylist()
    assert rows == [{"texts": 150_000, "total": 150_000 * 149_999 // 2}]


def test_a_heap_in_which_spark_does_not_start_is_named_with_the_least_that_it_needs(project: Path) -> None:
    refused = run(project, "300m")
    assert refused.returncode == 1
    assert "LAKEHOUSE_DRIVER_MEMORY=300m is too little: Spark needs over 450m." in refused.stderr

"""A notebook's time limit ends its Spark jobs, and no others."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession
from unit.job_lab import JobLab

from lakerun.jobs.local_task_runner import LocalTaskRunner


def test_the_spark_job_of_a_late_notebook_is_canceled(spark: SparkSession, tmp_path: Path) -> None:
    lab = JobLab(tmp_path)
    lab.task_runner = LocalTaskRunner(lab.storage, lambda: spark)
    lab.write_notebook("slow", "spark.range(0, 10**13, 1, 2).selectExpr('sum(hash(id))').collect()")
    outer = lab.notebook(
        "outer",
        """
        try:
            dbutils.notebook.run("slow", 1)
        except Exception as error:
            print(error, spark.range(3).count())
        """,
    )
    result = lab.run(lab.job(outer))
    assert result.tasks[0].seconds < 30
    assert lab.last("outer").message == "Notebook 'slow' took longer than its timeout of 1 s. 3"

"""`/Volumes/...` in Spark is the volume in the data folder: batches, streams, SQL, Delta and functions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from unit.job_lab import JobLab, error_of

from integration.lab import Lab
from lakerun.jobs.local_task_runner import LocalTaskRunner

V = "/Volumes/main/shop/data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("volumes")


@pytest.fixture(scope="module")
def jobs(spark: SparkSession, folder: Path) -> Iterator[JobLab]:
    lab = JobLab(folder)
    lab.task_runner = LocalTaskRunner(lab.storage, lambda: spark)
    (lab.storage.volumes_root / "main" / "shop" / "data").mkdir(parents=True)
    yield lab
    assert not Path("/Volumes").exists()


@pytest.fixture
def volume(jobs: JobLab) -> Path:
    return jobs.storage.volumes_root / "main" / "shop" / "data"


def run(jobs: JobLab, body: str) -> str:
    """What the script prints, or its error."""
    start = f"from pyspark.sql import SparkSession\nspark = SparkSession.active()\nV = '{V}'\n"
    result = jobs.run(jobs.job(jobs.script("go", start + body)))
    return jobs.logs("go").strip() if result.state == "SUCCESS" else error_of(result, "go")


def test_all_that_spark_writes_is_in_the_volume(jobs: JobLab, volume: Path) -> None:
    body = """
rows = spark.range(3)
rows.write.parquet(f"{V}/parquet")
rows.write.format("json").option("path", f"dbfs:{V}/json").save()
rows.write.csv(f"file:{V}/csv")
rows.write.format("delta").save(f"{V}/delta")
rows.write.format("delta").mode("append").save(f"{V}/delta")
spark.sql(f"MERGE INTO delta.`{V}/delta` t USING (SELECT 1L AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE")
spark.sql(f"INSERT OVERWRITE DIRECTORY '{V}/directory' USING json SELECT 7 AS n")
spark.sql(f"CREATE TABLE elsewhere (n INT) USING csv LOCATION 'dbfs:{V}/location'")
spark.sql("INSERT INTO elsewhere VALUES (1)")
stream = spark.readStream.schema("id LONG").parquet(f"{V}/parquet").writeStream.format("delta")
stream = stream.option("checkpointLocation", f"{V}/checkpoint").trigger(availableNow=True)
stream.start(f"{V}/streamed").awaitTermination()
print(spark.read.parquet(f"{V}/parquet").count(), spark.read.format("delta").load(f"{V}/streamed").count())
print(spark.sql(f"SELECT * FROM json.`{V}/json` UNION ALL SELECT * FROM json.`dbfs:{V}/json`").count())
print(spark.read.format("delta").load(f"{V}/delta").count(), spark.read.csv([f"{V}/csv"]).count())
print(spark.sql("SELECT '/Volumes/none/is/data' AS text").first()[0])
"""
    assert run(jobs, body).splitlines() == ["3 3", "6", "4 3", "/Volumes/none/is/data"]
    names = {file.name for file in volume.iterdir()}
    assert names >= {"parquet", "json", "csv", "delta", "directory", "location", "checkpoint", "streamed"}
    assert {file.name for file in (volume / "delta" / "_delta_log").glob("*.json")} == {
        f"{version:020}.json" for version in range(3)
    }
    assert (volume / "checkpoint" / "offsets" / "0").is_file()


def test_functions_in_sparks_own_processes_find_volumes(jobs: JobLab, volume: Path) -> None:
    (volume / "factor.txt").write_text("3", encoding="utf-8")
    body = """
from pyspark.sql.functions import udf
times = udf(lambda n: n * int(open("/Volumes/main/shop/data/factor.txt").read()), "long")
print(spark.range(3).select(times("id")).collect()[2][0])
"""
    assert run(jobs, body) == "6"


def test_a_task_finds_sparks_files_in_python_and_pythons_in_spark(jobs: JobLab, volume: Path) -> None:
    body = """
import os
open(f"{V}/from_python.json", "w").write('{"n": 5}')
print(spark.read.json(f"{V}/from_python.json").first().n)
spark.range(1).write.mode("overwrite").json(f"{V}/from_spark")
print(sum(name.endswith(".json") for name in os.listdir(f"{V}/from_spark")) > 0)
"""
    assert run(jobs, body).splitlines() == ["5", "True"]


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (
            "spark.range(1).write.parquet('/Volumes/main/shop/none/x')",
            "Volume 'main.shop.none' does not exist. Make it by spark.sql('CREATE VOLUME main.shop.none'), "
            "or declare it under the bundle's resources.volumes.",
        ),
        (
            "spark.sql(\"INSERT OVERWRITE DIRECTORY '/Volumes/a/b/c/d' USING json SELECT 1 AS n\")",
            "Volume 'a.b.c' does not exist. Make it by spark.sql('CREATE VOLUME a.b.c'), "
            "or declare it under the bundle's resources.volumes.",
        ),
        ("spark.range(1).write.csv(f'{V}/../../../../x')", f"'{V}/../../../../x' leads out of /Volumes."),
        (
            "spark.read.csv('dbfs:/tmp/x')",
            "'dbfs:/tmp/x' is not in a volume: write /Volumes/<catalog>/<schema>/<volume>/...",
        ),
        (
            "spark.sql('SELECT * FROM csv.`/dbfs/tmp/x`')",
            "'/dbfs/tmp/x' is in the DBFS root, which is not here: "
            "write /Volumes/<catalog>/<schema>/<volume>/...",
        ),
        (
            "import os; os.symlink('/etc', f'{V}/out'); spark.read.text(f'{V}/out/hosts')",
            f"'{V}/out/hosts' goes through a symbolic link that leads out of the data folder.",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(jobs: JobLab, statement: str, error: str) -> None:
    assert run(jobs, statement) == error


def test_volumes_are_made_and_dropped_by_statements(jobs: JobLab) -> None:
    body = """
spark.sql("CREATE VOLUME IF NOT EXISTS main.shop.made COMMENT 'new'")
open("/Volumes/main/shop/made/a.txt", "w").write("x")
spark.sql("DROP VOLUME main.shop.made")
spark.sql("DROP VOLUME IF EXISTS main.shop.made")
spark.sql("CREATE VOLUME main.shop.data")
"""
    assert run(jobs, body) == "Volume 'main.shop.data' already exists."
    assert not (jobs.storage.volumes_root / "main" / "shop" / "made").exists()


def test_a_pipeline_streams_and_reads_volumes(spark: SparkSession, tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lakehouse")
    arrived = lab.storage.volumes_root / "main" / "shop" / "data" / "in"
    arrived.mkdir(parents=True)
    (arrived / "a.json").write_text('{"n": 1}\n', encoding="utf-8")
    (arrived.parent / "names.json").write_text('{"n": 1, "name": "one"}\n', encoding="utf-8")
    source = f"""
@dp.table
def numbers():
    return spark.readStream.schema("n INT").json("{V}/in")

@dp.materialized_view
def named():
    return spark.read.table("numbers").join(spark.read.json("{V}/names.json"), "n").select("name")
"""
    lab.run(source)
    assert lab.rows("named") == [("one",)]
    (arrived / "b.json").write_text('{"n": 1}\n', encoding="utf-8")
    lab.run(source)
    assert (lab.rows("numbers"), lab.rows("named")) == ([(1,), (1,)], [("one",), ("one",)])

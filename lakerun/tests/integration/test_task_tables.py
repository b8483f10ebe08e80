"""A task's code names, makes, changes and lists the lakehouse's tables as on Databricks."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from unit.job_lab import JobLab, error_of

from lakerun.jobs.local_task_runner import LocalTaskRunner


@pytest.fixture
def jobs(spark: SparkSession, tmp_path: Path) -> JobLab:
    lab = JobLab(tmp_path)
    lab.task_runner = LocalTaskRunner(lab.storage, lambda: spark)
    return lab


def run(jobs: JobLab, body: str) -> str:
    """What the script prints, or its error."""
    result = jobs.run(jobs.job(jobs.script("go", body)))
    return jobs.logs("go").strip() if result.state == "SUCCESS" else error_of(result, "go")


def test_tables_are_made_and_found_by_names_of_one_two_and_three_parts(jobs: JobLab) -> None:
    body = """
spark.range(2).write.saveAsTable("made")
spark.sql("CREATE SCHEMA IF NOT EXISTS shop")
spark.range(3).write.mode("overwrite").saveAsTable("shop.made")
spark.catalog.setCurrentDatabase("shop")
print(spark.catalog.currentCatalog(), spark.catalog.currentDatabase())
for name in ("made", "shop.made", "main.shop.made", "`main`.`shop`.`made`"):
    rows = spark.sql(f"SELECT id FROM {name}")
    print(spark.catalog.tableExists(name), spark.table(name).count(), rows.count())
print(spark.catalog.tableExists("made", "default"), spark.catalog.tableExists("none"))
spark.sql("USE SCHEMA default")
joined = spark.sql("SELECT made.id FROM made JOIN shop.made s ON s.id = made.id")
print(spark.table("made").count(), joined.count())
spark.range(9).createOrReplaceTempView("made")
print(spark.table("made").count(), spark.sql("SELECT * FROM made").count())
print(spark.table("default.made").count())
"""
    found = ["True 3 3"] * 4
    assert run(jobs, body).splitlines() == ["main shop", *found, "True False", "2 2", "9 9", "2"]
    assert [str(name) for name in jobs.storage.tables()] == ["main.default.made", "main.shop.made"]


def test_names_after_a_comma_are_tables_and_compared_values_are_not(jobs: JobLab) -> None:
    body = """
spark.range(2).write.saveAsTable("one")
spark.range(3).write.saveAsTable("shop.two")
spark.range(4).write.saveAsTable("id")
def count(sql): return spark.sql("SELECT count(*) " + sql).first()[0]
print(count("FROM one, shop.two"), count("FROM one AS a, shop.two b, id WHERE a.id = b.id AND b.id = id.id"))
print(count("FROM shop.two, one VERSION AS OF 0"))
print(count("FROM (SELECT 1) s JOIN one, shop.two"), count("FROM one, LATERAL explode(array(1, 2)) AS e"))
print(count("FROM one, (SELECT id IS DISTINCT FROM id AS same, id FROM shop.two) WHERE NOT same"))
row = spark.sql("SELECT 'FROM one, id', two.id IS DISTINCT FROM two.id, one.id FROM one, shop.two").first()
print(tuple(row)[:2])
"""
    expected = ["6 2", "6", "6 4", "6", "('FROM one, id', False)"]
    assert run(jobs, body).splitlines() == expected


def test_tables_are_found_wherever_a_statement_may_name_them(jobs: JobLab) -> None:
    body = """
spark.range(2).write.saveAsTable("one")
spark.range(3).write.saveAsTable("two")
def count(sql): return spark.sql("SELECT count(*) " + sql).first()[0]
print(count("FROM (SELECT 1) s, two"), count("FROM range(5) r, two WHERE two.id = r.id"))
print(count("FROM (one JOIN two ON one.id = two.id)"), count("FROM one x JOIN (two) USING (id), one"))
print(count("FROM one WHERE EXISTS (SELECT 1 FROM (VALUES (1)) v(n), two WHERE two.id = one.id + n)"))
hinted = spark.sql("SELECT /*+ BROADCAST(two) */ two.id FROM one, two WHERE one.id > 0")
print(sorted(row.id for row in hinted.collect()))
spark.sql("MERGE INTO one USING two ON one.id = two.id WHEN NOT MATCHED THEN INSERT *")
spark.sql("MERGE INTO default.one AS t USING two ON t.id = two.id AND t.id > 0 WHEN MATCHED THEN DELETE")
print(sorted(r.id for r in spark.table("one").collect()))
spark.sql("CREATE TABLE three AS SELECT two.id FROM (SELECT 1) s, two")
spark.sql("CREATE TEMPORARY VIEW seen AS WITH w AS (SELECT 7 AS id), two AS (SELECT * FROM two) "
          "SELECT id FROM w UNION ALL SELECT id FROM two")
print(spark.table("three").count(), spark.table("seen").count())
"""
    assert run(jobs, body).splitlines() == ["3 3", "2 4", "2", "[0, 1, 2]", "[0]", "3 4"]


def test_statements_make_change_and_drop_tables(jobs: JobLab) -> None:
    body = """
spark.sql("CREATE SCHEMA lab.north")
spark.sql("USE lab.north")
spark.sql("CREATE TABLE days (day INT, rain DOUBLE) COMMENT 'weather'")
spark.sql("INSERT INTO days (day, rain) VALUES (1, 2.5), (2, 0)")
changes = "(SELECT 2 AS day, 4.0 AS rain)"
spark.sql(f"MERGE INTO days d USING {changes} s ON d.day = s.day WHEN MATCHED THEN UPDATE SET *")
spark.sql("UPDATE north.days SET rain = days.rain + 1 WHERE days.day = 1")
spark.sql("CREATE OR REPLACE TABLE copied AS WITH days AS (SELECT * FROM lab.north.days) SELECT * FROM days")
spark.sql("DELETE FROM copied WHERE day = 2")
spark.createDataFrame([(7, 1.5)], "day INT, rain DOUBLE").write.insertInto("copied")
spark.range(1).selectExpr("9 AS day", "0.5D AS rain").writeTo("copied").append()
print([tuple(row) for row in spark.sql("SELECT * FROM days ORDER BY day").collect()])
print([tuple(row) for row in spark.table("copied").orderBy("day").collect()])
print(spark.sql("SELECT * FROM copied VERSION AS OF 0").count())
print([row.tableName for row in spark.sql("SHOW TABLES").collect()])
print([row[0] for row in spark.sql("SHOW SCHEMAS IN lab").collect()])
spark.range(1).createOrReplaceTempView("seen")
listed = [(item.name, item.catalog, item.database) for item in spark.catalog.listTables()]
print([name for name in listed if name[1]], ("seen", None, None) in listed)
spark.catalog.dropTempView("seen")
print([item.name for item in spark.catalog.listDatabases()], spark.catalog.databaseExists("none"))
print([(item.name, item.dataType) for item in spark.catalog.listColumns("days")])
spark.sql("DROP TABLE days")
spark.sql("DROP TABLE IF EXISTS north.days")
spark.sql("DROP SCHEMA lab.north CASCADE")
print(spark.catalog.tableExists("lab.north.copied"))
"""
    assert run(jobs, body).splitlines() == [
        "[(1, 3.5), (2, 4.0)]",
        "[(1, 3.5), (7, 1.5), (9, 0.5)]",
        "2",
        "['copied', 'days']",
        "['north']",
        "[('copied', 'lab', 'north'), ('days', 'lab', 'north')] True",
        "['north'] False",
        "[('day', 'int'), ('rain', 'double')]",
        "False",
    ]
    assert jobs.storage.tables() == []


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (
            "spark.sql('CREATE VIEW seen AS SELECT 1 AS n')",
            "View 'seen' cannot be made here: only tables are kept. Write CREATE TEMPORARY VIEW, "
            "or CREATE TABLE ... AS SELECT.",
        ),
        (
            "spark.range(1).write.format('csv').saveAsTable('made', format='csv')",
            "Table 'made' cannot be of format csv: only Delta tables are kept here.",
        ),
        (
            "spark.catalog.createTable('made', '/tmp/x')",
            "Table 'made' cannot be made by spark.catalog.createTable here: "
            "write spark.sql('CREATE TABLE ...') or saveAsTable.",
        ),
        (
            "spark.sql('revoke SELECT ON TABLE days FROM `account users`')",
            "REVOKE cannot be carried out here: no catalog keeps privileges on this machine, and every table "
            "can be read and written.",
        ),
        (
            "spark.readStream.format('cloudFiles').option('cloudFiles.format', 'csv').load('/tmp')",
            "Auto Loader ('cloudFiles') exists only on Databricks. Here read the folder as a stream of its "
            "format, for example spark.readStream.schema(...).csv(folder).",
        ),
        (
            "spark.range(1).write.saveAsTable('days'); spark.table('main.default.day')",
            "AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table or view `main`.`default`.`day` cannot be "
            "found. There are: main.default.days. SQLSTATE: 42P01",
        ),
        ("spark.sql('USE CATALOG nome')", "Unknown catalog 'nome'. Valid: main."),
        ("spark.sql('DROP TABLE shop.none')", "Table 'main.shop.none' does not exist."),
        ("spark.range(1).write.saveAsTable('a.b.c.d')", "'a.b.c.d' is not a valid table name."),
        ("spark.range(1).write.saveAsTable('`../../x`')", "'`../../x`' is not a valid table name."),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(jobs: JobLab, statement: str, error: str) -> None:
    assert run(jobs, statement) == error


def test_a_stream_writes_to_a_table_of_the_lakehouse(jobs: JobLab) -> None:
    body = f"""
spark.range(3).write.saveAsTable("numbers")
stream = spark.readStream.table("numbers").writeStream
stream = stream.option("checkpointLocation", "{jobs.folder}/checkpoint")
stream.trigger(availableNow=True).toTable("copied").awaitTermination()
print(spark.table("main.default.copied").count())
"""
    assert run(jobs, body) == "3"


def test_the_samples_are_read_by_name_and_never_changed(jobs: JobLab) -> None:
    body = """
print(spark.read.table("samples.nyctaxi.trips").count())
print(spark.sql("SELECT count(*) FROM samples.nyctaxi.trips t WHERE t.fare_amount < 2.5").first()[0])
spark.sql("USE samples.nyctaxi")
print(spark.table("trips").count(), spark.catalog.tableExists("trips"))
for change in (
    "INSERT INTO trips SELECT * FROM trips",
    "DELETE FROM `samples`.nyctaxi.trips",
    "DROP TABLE trips",
    "CREATE OR REPLACE TABLE samples.nyctaxi.more AS SELECT 1 AS n",
    "CREATE SCHEMA samples.more",
    "DROP SCHEMA nyctaxi CASCADE",
    "CREATE VOLUME samples.nyctaxi.files",
):
    try:
        spark.sql(change)
    except Exception as error:
        print(error)
try:
    spark.range(1).write.mode("append").saveAsTable("samples.nyctaxi.trips")
except Exception as error:
    print(error)
"""
    refused = "The catalog 'samples' can only be read: write to a catalog of your own."
    assert run(jobs, body).splitlines() == ["2000", "0", "2000 True", *[refused] * 8]

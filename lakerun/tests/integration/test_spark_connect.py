"""Tasks on Spark Connect: what serverless compute has works, what it lacks fails as it does there."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from unit.job_lab import JobLab, error_of, states

from integration.lab import Lab
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.results import JobResult
from lakerun.tables.storage import TableName

CONNECT = "pyspark.sql.connect.session"
ORDERS = TableName("main", "shop", "orders")

# A wheel's or script's code, which may use functions before it asks for a session, and has threads.
SCRIPT = """
from concurrent.futures import ThreadPoolExecutor
from pyspark.sql import DataFrame, SparkSession, Window, functions as F

doubled = (F.col("id") * 2).alias("doubled")
spark = SparkSession.builder.appName("mine").getOrCreate()
assert spark is SparkSession.active() is SparkSession.getActiveSession()
print(type(spark).__module__)

def count(number):
    assert SparkSession.active() is spark
    return spark.table("main.shop.orders").where(F.col("id") >= number).select(doubled).count()

with ThreadPoolExecutor(2) as pool:
    print(list(pool.map(count, [0, 3])))
ranked = spark.read.table("main.shop.orders").withColumn("n", F.row_number().over(Window.orderBy("id")))
assert isinstance(ranked, DataFrame)
print([row.n for row in spark.createDataFrame([(1,)], "n int").collect()], ranked.agg(F.max("n")).first()[0])
"""

CELLS = (
    "# MAGIC %sql\n# MAGIC SELECT count(*) AS n FROM main.shop.orders",
    "print(type(spark).__module__, _sqldf.first().n)",
    "print(spark.sql('SHOW TABLES IN main.shop').where(\"tableName = 'orders'\").count())",
    "print(spark.sql('DESCRIBE HISTORY main.shop.orders').count())",
    "spark.range(3).write.saveAsTable('main.shop.saved')\nspark.range(2).write.insertInto('main.shop.saved')",
    "spark.range(1).createOrReplaceTempView('one')\nprint(spark.table('one').count())",
    "print(spark.table('main.shop.saved').count(), spark.catalog.tableExists('main.shop.saved'))",
    "spark.range(2).write.parquet('/Volumes/main/shop/landing/ids')",
    "print(dbutils.notebook.run('inner', 60))",
    "from pyspark.sql import functions as F\noffset = 40\nadded = F.udf(lambda i: i + offset, 'int')\n"
    "print(*[row.v for row in spark.range(2).select(added('id').alias('v')).orderBy('v').collect()])",
)

PIPELINE = """
from pyspark.sql.utils import is_remote
assert not is_remote() and spark.sparkContext is not None

@dp.materialized_view(name="squares")
def squares():
    return spark.range(4).select((F.col("id") * F.col("id")).alias("square"))
"""


INNER = """
from pyspark.sql import SparkSession
ids = SparkSession.active().read.parquet("dbfs:/Volumes/main/shop/landing/ids")
dbutils.notebook.exit(str(ids.count()))
"""


def uses(attribute: str) -> str:
    return f"from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n{attribute}\n"


FAILURES = {
    "context": (
        "spark.sparkContext.parallelize([1])",
        "PySparkAttributeError: [JVM_ATTRIBUTE_NOT_SUPPORTED] Attribute `sparkContext` is not supported",
    ),
    "jvm": (
        "spark._jvm.java.lang.System.exit(0)",
        "PySparkAttributeError: [JVM_ATTRIBUTE_NOT_SUPPORTED] Attribute `_jvm` is not supported",
    ),
    "rdd": ("spark.range(1).rdd.map(str)", "PySparkNotImplementedError: [NOT_IMPLEMENTED] rdd is not"),
    "wrong": (
        "spark.table('main.shop.orders').select('nothing').show()",
        "AnalysisException: [UNRESOLVED_COLUMN.WITH_SUGGESTION] ",
    ),
}


@pytest.fixture(scope="module")
def lab(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> JobLab:
    folder = tmp_path_factory.mktemp("connect")
    lab = JobLab(folder)
    path = lab.storage.table_path(ORDERS)
    path.mkdir(parents=True)
    write_deltalake(str(path), pa.table({"id": pa.array(range(5), pa.int64())}))
    lab.task_runner = LocalTaskRunner(lab.storage, lambda: spark, spark_connect=True)
    return lab


@pytest.fixture(scope="module")
def ended(lab: JobLab) -> JobResult:
    """One job: a script that starts Spark, then tasks and a pipeline beside each other."""
    lab.write_notebook("inner", INNER)
    (lab.storage.volumes_root / "main" / "shop" / "landing").mkdir(parents=True)
    lab.pipelines["p"] = Lab(lab.storage.home).spec(PIPELINE)
    pipeline = {"task_key": "p", "pipeline_task": {"pipeline_id": "p"}, "depends_on": [{"task_key": "first"}]}
    return lab.run(
        lab.job(
            lab.script("first", SCRIPT),
            lab.script("again", SCRIPT, after="first"),
            lab.notebook("book", *CELLS, after="first"),
            pipeline,
            *(lab.script(name, uses(code), after="first") for name, (code, _) in FAILURES.items()),
        )
    )


def test_scripts_and_notebooks_run_on_connect_beside_a_pipeline_that_does_not(
    lab: JobLab, ended: JobResult
) -> None:
    failed = dict.fromkeys(FAILURES, "FAILED")
    succeeded = dict.fromkeys(("first", "again", "book", "p"), "SUCCESS")
    assert states(ended) == succeeded | failed, [(task.key, task.error) for task in ended.tasks]
    assert lab.logs("first") == lab.logs("again") == f"{CONNECT}\n[5, 2]\n[1] 5\n"
    assert lab.logs("book").split() == ["n", "5", CONNECT, "5", "1", "1", "1", "5", "True", "2", "40", "41"]


@pytest.mark.parametrize("name", FAILURES)
def test_what_fails_on_serverless_compute_fails_in_one_line(ended: JobResult, name: str) -> None:
    error = error_of(ended, name)
    assert error.startswith(FAILURES[name][1])
    assert "\n" not in error


def test_a_canceled_task_stops_its_query(lab: JobLab, spark: SparkSession) -> None:
    forever = uses("spark.range(10**13).selectExpr('sum(id % 7)').collect()")
    clock = time.monotonic()
    result = lab.run(lab.job(lab.script("endless", forever, timeout_seconds=2)))
    assert states(result) == {"endless": "TIMEDOUT"}
    assert time.monotonic() - clock < 20
    waited = time.monotonic() + 10
    while spark.sparkContext.statusTracker().getActiveJobsIds():
        assert time.monotonic() < waited
        time.sleep(0.05)


def test_afterwards_this_process_is_on_its_own_session_again(ended: JobResult, spark: SparkSession) -> None:
    assert SparkSession.builder.getOrCreate() is spark
    assert spark.range(3).count() == 3

"""kill -9 at the worst moments, then the same command again: no row lost, doubled or counted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from integration.killed_run import MOMENTS
from integration.lab import Lab

TESTS = Path(__file__).parents[1]
TABLES = {
    "raw": "id, n, at",
    "clean": "id, n, at",
    "newest": "id, n, at",
    "versions": 'id, n, "__START_AT", "__END_AT"',
    "totals": "id, total",
}
# Every window between two commits; the others are `-m slow`.
SAMPLE = ("between_commit_and_checkpoint", "between_checkpoint_and_report", "in_a_merge_before_its_report")


def marks(moment: str) -> list[pytest.MarkDecorator]:
    if moment not in SAMPLE:
        return [pytest.mark.slow]
    return [pytest.mark.long] if moment != SAMPLE[-1] else []


def source(folder: str) -> str:
    return f"""
    @dp.table(name="raw")
    @dp.expect("id_present", "id IS NOT NULL")
    def raw():
        rows = spark.readStream.schema("id INT, n INT, at INT").option("maxFilesPerTrigger", "1")
        return rows.format("json").load("{folder}")

    @dp.table(name="clean")
    @dp.expect_or_drop("positive", "n > 0")
    def clean():
        return spark.readStream.table("raw")

    @dp.temporary_view(name="changes")
    @dp.expect_or_drop("has_id", "id IS NOT NULL")
    def changes():
        return spark.readStream.table("clean")

    for target, scd_type in (("newest", 1), ("versions", 2)):
        dp.create_streaming_table(target)
        dp.create_auto_cdc_flow(
            target=target, source="changes", keys=["id"], sequence_by="at", stored_as_scd_type=scd_type,
            except_column_list=["at"] if scd_type == 2 else None,
        )

    @dp.materialized_view(name="totals")
    @dp.expect("few", "total < 50")
    def totals():
        return spark.read.table("clean").groupBy("id").agg(F.sum("n").alias("total"))
    """


def arrivals(lab: Lab) -> str:
    first = [{"id": n % 7 if n % 11 else None, "n": n % 5 - 1, "at": n} for n in range(40)]
    second = [{"id": n % 7, "n": n % 4, "at": 100 - n} for n in range(20)]
    lab.arrive("raw", first)
    return lab.arrive("raw", second)


@pytest.fixture(scope="module")
def undisturbed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("undisturbed"))
    assert lab.run(source(arrivals(lab))).state == "COMPLETED"
    return lab


def kill(moment: str, home: Path) -> Lab:
    """Run the pipeline in its own process, which dies at the moment."""
    lab = Lab(home)
    spec = home / "spec.json"
    spec.write_text(lab.spec(source(arrivals(lab))).model_dump_json(), encoding="utf-8")
    killed = subprocess.run(
        [sys.executable, "-m", "integration.killed_run", str(spec), str(home), moment],
        cwd=TESTS,
        env=os.environ | {"PYTHONPATH": str(TESTS), "LAKEHOUSE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    return lab


@pytest.fixture(scope="module")
def killed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Lab]]]:
    """The killed runs of the chosen tests, two at a time, as each mostly waits for the start of a JVM."""
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    moments = [params["moment"] for params in chosen if params.get("moment") in MOMENTS]
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {moment: pool.submit(kill, moment, tmp_path_factory.mktemp(moment)) for moment in moments}


@pytest.mark.parametrize(
    "moment",
    [pytest.param(moment, marks=marks(moment)) for moment in MOMENTS],
)
def test_the_repeated_command_has_the_result_of_an_undisturbed_run(
    killed: dict[str, Future[Lab]], undisturbed: Lab, moment: str
) -> None:
    lab = killed[moment].result()

    again = lab.run(source(str(lab.home / "incoming" / "raw")))

    assert again.state == "COMPLETED"
    for table, columns in TABLES.items():
        assert lab.rows(table, columns) == undisturbed.rows(table, columns), table
    assert lab.expectation_counts() == undisturbed.expectation_counts()
    ids = lab.rows("event_log_lab", "id")
    assert len(ids) == len(set(ids))
    states = {d["update_progress"]["state"] for d in lab.published("lab", "update_progress")}
    assert states == {"COMPLETED", "FAILED", "INITIALIZING", "RUNNING", "SETTING_UP_TABLES"}

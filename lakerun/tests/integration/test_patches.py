"""Everything that the runtime replaces in Python and PySpark while it works is restored at the end."""

from __future__ import annotations

import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from unit.job_lab import JobLab

from integration.lab import Lab
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.output import TaskOutput, captured
from lakerun.patches import IMPORT_PATH, PATCHES, Patch
from lakerun.pipelines.definitions import Definitions, load_definitions

SOURCE = """
from integration.test_patches import look
look()
dp.create_streaming_table("days", expect_all={"known": "day IS NOT NULL"})

@dp.append_flow(target="days")
def days_flow():
    look()
    return spark.readStream.schema("day int").json(os.environ["ARRIVED"])

@dp.materialized_view
@dp.expect("some", "days > 0")
def counted():
    look()
    return spark.read.table("days").groupBy().agg(F.count("*").alias("days"))
"""

_state: dict[Patch, Any] = {}
_seen: set[Patch] = set()


def state() -> dict[Patch, Any]:
    """Each patched attribute's value, the import path's by its entries."""
    return {patch: list(patch.value()) if patch == IMPORT_PATH else patch.value() for patch in PATCHES}


def look() -> None:
    """Called by the tests' code: notes which attributes are replaced at this point."""
    _seen.update(patch for patch, value in state().items() if differs(value, _state[patch]))


def differs(value: Any, other: Any) -> bool:
    return value != other if isinstance(other, list) and isinstance(value, list) else value is not other


@pytest.fixture
def jobs(spark: SparkSession, tmp_path: Path) -> JobLab:
    lab = JobLab(tmp_path)
    lab.task_runner = LocalTaskRunner(lab.storage, lambda: spark)
    return lab


@pytest.fixture
def before(jobs: JobLab) -> Iterator[dict[Patch, Any]]:
    """The state after all permanent patches were applied."""
    jobs.run(jobs.job(jobs.script("warm", "from pyspark.sql import SparkSession\nSparkSession.active()")))
    _state.update(state())
    _seen.clear()
    yield dict(_state)
    _state.clear()


def assert_restored(before: dict[Patch, Any]) -> None:
    assert [patch for patch, value in state().items() if differs(value, before[patch])] == []


def test_all_patches_are_applied_and_undone(
    lab: Lab, jobs: JobLab, before: dict[Patch, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARRIVED", lab.arrive("days", [{"day": 1}, {"day": 2}]))
    assert lab.run(SOURCE).state == "COMPLETED"
    assert lab.rows("counted") == [(2,)]
    assert_restored(before)

    body = "from integration.test_patches import look\nlook()\nspark = None\nimport pyspark.dbutils"
    # Spark starts when the first task uses it, and runs already for the second.
    jobs.task_runner.started = False
    on_demand = f"{body}\nfrom pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate()\nlook()"
    first, second = jobs.script("first", on_demand), jobs.script("second", body, after="first")
    notebook = jobs.notebook("book", f"{body}\nlook()")
    result = jobs.run(jobs.job(first, second, notebook))
    assert [(task.key, task.error) for task in result.tasks if task.error] == []
    assert_restored(before)

    jobs.task_runner.spark_connect = True
    result = jobs.run(jobs.job(jobs.script("connected", f"{body}\nlook()")))
    assert [task.error for task in result.tasks] == [None]
    assert_restored(before)

    with captured(TaskOutput("printed")):
        print("line")
        look()
    assert_restored(before)

    # The rest had been applied before: they are permanent.
    assert [patch for patch in PATCHES if patch not in _seen] == [
        patch for patch in PATCHES if patch.permanent
    ]


def test_pipelines_that_load_in_parallel_have_separate_declarations_and_output(
    spark: SparkSession, before: dict[Patch, Any], tmp_path: Path
) -> None:
    """Both load at the same time, and the first to begin is the first to end."""
    source = """
    import sys
    from pyspark import pipelines as dp
    meet = sys.modules["meeting"].points["{name}"]
    meet()
    dp.create_streaming_table("{name}", expect_all={{"of {name}": "day > 0"}})
    dp.create_auto_cdc_flow("{name}", "changes", keys=["id"], sequence_by="day")
    print("{name} loads")
    meet()
    """
    meeting = _Meeting()
    loaded: dict[str, Definitions] = {}
    printed = TaskOutput("task")

    def load(name: str) -> Callable[[], None]:
        file = tmp_path / f"{name}.py"
        file.write_text(textwrap.dedent(source.format(name=name)), encoding="utf-8")

        def run() -> None:
            loaded[name] = load_definitions([file], spark)
            if name == "one":
                meeting.first_has_ended.set()

        return run

    def task() -> None:
        meeting.both.wait()
        with captured(printed):
            print("a task prints")
            meeting.first_has_ended.wait()

    sys.modules["meeting"] = meeting  # type: ignore[assignment]
    threads = [threading.Thread(target=work) for work in (load("one"), load("two"), task)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    del sys.modules["meeting"]

    for name in ("one", "two"):
        assert list(loaded[name].datasets) == [name]
        assert [item.name for item in loaded[name].datasets[name].expectations] == [f"of {name}"]
        assert list(loaded[name].flows) == [name]
        assert loaded[name].printed == [f"{name} loads"]
    assert printed.text == "a task prints\n"
    assert_restored(before)


class _Meeting:
    """A point at which the threads of a test wait for each other."""

    def __init__(self) -> None:
        self.both = threading.Barrier(3, timeout=60)
        self.first_has_ended = threading.Event()
        self._calls = {"one": 0, "two": 0}
        self.points = {"one": lambda: self._meet("one"), "two": lambda: self._meet("two")}

    def _meet(self, name: str) -> None:
        self._calls[name] += 1
        if self._calls[name] == 1:
            self.both.wait()
        elif name == "two":
            assert self.first_has_ended.wait(60)

"""A task's environment, as on Databricks: global names, the runtime's module, its folder, fresh imports."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lakerun.errors import LakerunError
from lakerun.jobs.local_task_runner import LocalTaskRunner
from unit.job_lab import JobLab, error_of, task


@pytest.fixture
def lab(tmp_path: Path) -> JobLab:
    return JobLab(tmp_path)


def test_a_script_finds_dbutils_display_and_spark_as_a_notebook_does(lab: JobLab) -> None:
    starts: list[str] = []
    lab.task_runner = LocalTaskRunner(lab.storage, lambda: starts.append("spark"))
    body = """
    dbutils.jobs.taskValues.set("rows", 5)
    display("shown")
    def later():
        return dbutils.jobs.taskValues.get("before", "rows", default=0)
    print(later(), "spark" in globals())
    """
    lab.run(lab.job(lab.script("quiet", body)))
    assert (lab.logs("quiet"), starts) == ("shown\n0 False\n", [])
    lab.run(lab.job(lab.script("loud", "print(spark is None)")))
    assert (lab.logs("loud"), starts) == ("True\n", ["spark"])


@pytest.mark.parametrize("line", ["spark", "from databricks.sdk.runtime import spark", "sql"])
def test_a_start_that_asks_for_the_active_session_starts_spark_once(lab: JobLab, line: str) -> None:
    from pyspark.sql import SparkSession

    starts: list[str] = []

    def start() -> None:
        starts.append("spark")
        SparkSession.getActiveSession()  # as Spark's start does

    lab.task_runner = LocalTaskRunner(lab.storage, start)
    result = lab.run(lab.job(lab.notebook("go", line, timeout_seconds=10)))
    assert starts == ["spark"]
    assert result.tasks[0].state == ("FAILED" if line == "sql" else "SUCCESS")  # there is no session here


def test_an_unknown_name_is_still_an_error(lab: JobLab) -> None:
    result = lab.run(lab.job(lab.script("go", "print(sparc)")))
    assert error_of(result, "go") == "NameError: name 'sparc' is not defined"


def test_the_runtime_module_has_each_tasks_own_names(lab: JobLab) -> None:
    (lab.folder / "values_of.py").write_text(
        "from databricks.sdk.runtime import dbutils\n"
        "def note(value): dbutils.jobs.taskValues.set('value', value)\n",
        encoding="utf-8",
    )
    body = """
import threading, values_of
thread = threading.Thread(target=values_of.note, args=[{!r}])
thread.start()
thread.join()
"""
    show = "import sys; print(*sys.argv[1:])"
    for first, second in (("a", "b"), ("c", "d")):
        tasks = [lab.notebook("one", body.format(first)), lab.script("two", body.format(second))]
        references = ["{{tasks.one.values.value}}", "{{tasks.two.values.value}}"]
        result = lab.run(lab.job(*tasks, lab.script("show", show, *references, after=["one", "two"])))
        assert [(item.key, item.error) for item in result.tasks if item.error] == []
        assert [lab.logs(key) for key in ("one", "two")] == ["", ""]  # no thread has failed
        assert lab.last("show").message == f"{first} {second}"


def test_a_wheels_modules_import_the_tasks_names(lab: JobLab) -> None:
    code = "from databricks.sdk.runtime import dbutils\ndef main(): dbutils.jobs.taskValues.set('rows', 7)"
    wheel = lab.wheel("taxis_wheel", code, "go = taxis_wheel:main")
    settings = {"package_name": "taxis_wheel", "entry_point": "go"}
    lab.run(lab.job(task("load", "python_wheel", settings, libraries=[{"whl": str(wheel)}])))
    outcome = lab.last("load").outcome
    assert outcome is not None
    assert outcome.task_values == {"rows": 7}


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("from databricks.sdk.runtime import display, spark\nprint(callable(display), spark)", "True None"),
        ("from databricks.sdk.runtime import dbutils\nprint(dbutils.widgets.getAll())", "{}"),
        (
            "try:\n    from databricks.sdk.runtime import sparc\nexcept ImportError: print('unknown')",
            "unknown",
        ),
    ],
)
def test_the_runtime_module_has_databricks_names_and_no_others(lab: JobLab, code: str, printed: str) -> None:
    lab.run(lab.job(lab.script("go", code)))
    assert lab.last("go").message == printed


def test_the_runtime_modules_names_belong_to_a_task() -> None:
    from lakerun.jobs.task_names import _module

    with pytest.raises(LakerunError, match="only in a task"):
        _module().dbutils.widgets  # noqa: B018


def test_scripts_and_notebooks_work_in_their_files_folder_side_by_side(lab: JobLab) -> None:
    before = Path.cwd()
    body = """
    import os, threading, time
    wait = time.monotonic() + 5
    open("here.txt", "w").write("mine")
    while not all(os.path.exists(f"../{other}/here.txt") for other in ("one", "two")):
        assert time.monotonic() < wait
    thread = threading.Thread(target=lambda: print(os.path.basename(os.getcwd())))
    thread.start()
    thread.join()
    """
    tasks = []
    for name, made in (("one", lab.script), ("two", lab.notebook)):
        lab.folder, home = lab.folder / name, lab.folder
        lab.folder.mkdir()
        tasks.append(made(name, body))
        lab.folder = home
    lab.run(lab.job(*tasks))
    assert (lab.logs("one"), lab.logs("two")) == ("one\n", "two\n")
    assert Path.cwd() == before


def test_the_next_task_imports_a_changed_neighbour_again(lab: JobLab) -> None:
    path, modules = list(sys.path), set(sys.modules)
    body = "import sys\nsys.path.append('beside')\nimport advice\nprint(advice.TEXT)"
    (lab.folder / "beside").mkdir()
    for text in ("old", "new, and longer"):
        (lab.folder / "beside" / "advice.py").write_text(f"TEXT = {text!r}", encoding="utf-8")
        lab.run(lab.job(lab.script("go", body)))
        assert lab.last("go").message == text
    assert sys.path == path
    assert "advice" not in sys.modules.keys() - modules
    assert "beside" not in sys.path_importer_cache


def test_where_threads_share_the_folder_it_is_the_tasks_and_comes_back(
    lab: JobLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakerun.jobs import task_process

    monkeypatch.setattr(task_process, "_own_folder", lambda folder: False)
    before = Path.cwd()
    lab.run(lab.job(lab.script("go", "import os; print(os.getcwd())")))
    assert (lab.last("go").message, Path.cwd()) == (os.path.realpath(lab.folder), before)


def test_a_reference_may_have_its_names_in_brackets(lab: JobLab) -> None:
    show = "import sys; print('|'.join(sys.argv[1:]))"
    references = [
        "{{ job.parameters.[day] }}",
        "{{tasks.[load].values.[rows]}}",
        "{{tasks.load.result_state}}",
        "{{job.[name]}}",
    ]
    load = lab.notebook("load", "dbutils.jobs.taskValues.set('rows', 3)")
    job = lab.job(load, lab.script("show", show, *references, after="load"), parameters={"day": "monday"})
    lab.run(job)
    assert lab.last("show").message == "monday|3|success|nightly"


def test_a_package_without_init_files_is_forgotten_with_all_that_is_in_it(lab: JobLab) -> None:
    inner = lab.folder / "outer_names" / "inner" / "deep"
    inner.mkdir(parents=True)
    (inner / "leaf.py").write_text("", encoding="utf-8")
    body = f"""
    import sys
    sys.path.append({str(lab.folder)!r})
    import outer_names.inner.deep.leaf
    print("imported")
    """
    lab.run(lab.job(lab.script("first", body)))
    assert lab.logs("first") == "imported\n"
    assert not [name for name in sys.modules if name.startswith("outer_names")]

"""A job's settings in the API's form: the job that they define, and errors of wrong ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lakerun.bundles.job_specs import job_from_settings
from lakerun.bundles.load import load_bundle
from lakerun.errors import LakerunError, SettingsError

SCRIPT = {"python_file": "/Workspace/a.py"}


def job(*tasks: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"name": "nightly", "tasks": list(tasks), **settings}


def load(key: str = "load", **more: Any) -> dict[str, Any]:
    return {"task_key": key, "spark_python_task": SCRIPT, **more}


def test_settings_become_a_job() -> None:
    spec = job_from_settings(
        job(
            {
                "task_key": "check",
                "condition_task": {"op": "EQUAL_TO", "left": "a", "right": "b"},
            },
            load(
                depends_on=[{"task_key": "check", "outcome": "false"}],
                run_if="ALL_DONE",
                max_retries=-1,
                min_retry_interval_millis=500,
                retry_on_timeout=True,
                timeout_seconds=60,
                disabled=True,
                environment_key="default",
                libraries=[{"whl": "/Volumes/c/s/v/b.whl"}, {"pypi": {"package": "numpy"}}],
                job_cluster_key="ignored",
            ),
            {"task_key": "p", "pipeline_task": {"pipeline_id": "0f-1", "full_refresh": True}},
            {"task_key": "j", "run_job_task": {"job_id": 123}},
            {
                "task_key": "every",
                "for_each_task": {"inputs": "[1]", "concurrency": 3, "task": load("one")},
            },
            parameters=[{"name": "day", "default": "monday"}],
            environments=[
                {
                    "environment_key": "default",
                    "spec": {"environment_version": "4", "dependencies": ["/Workspace/a.whl", "numpy>=2"]},
                }
            ],
            schedule={"quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "UTC"},
            queue={"enabled": True},
            max_concurrent_runs=2,
            timeout_seconds=3600,
        ),
        "17",
    )
    assert (spec.key, spec.name, spec.parameters) == ("17", "nightly", {"day": "monday"})
    assert (spec.queue, spec.max_concurrent_runs, spec.timeout_seconds) == (True, 2, 3600)
    assert spec.schedule == {
        "pause_status": "UNPAUSED",
        "quartz_cron_expression": "0 0 3 * * ?",
        "timezone_id": "UTC",
    }
    check, script, pipeline, nested, every = spec.tasks
    assert (check.kind, check.depends_on, check.run_if) == ("condition", (), "ALL_SUCCESS")
    assert (script.kind, script.depends_on, script.outcomes) == (
        "spark_python",
        ("check",),
        {"check": "false"},
    )
    assert (script.run_if, script.max_retries, script.min_retry_interval_millis) == ("ALL_DONE", -1, 500)
    assert (script.retry_on_timeout, script.timeout_seconds, script.disabled) == (True, 60, True)
    assert script.dependencies == ("/Workspace/a.whl", "numpy>=2", "/Volumes/c/s/v/b.whl", "numpy")
    assert script.payload == SCRIPT
    assert pipeline.payload == {"pipeline_id": "0f-1", "full_refresh": True}
    assert nested.payload == {"job_id": "123"}
    assert every.payload == {"inputs": "[1]", "concurrency": 3}
    assert every.each is not None
    assert (every.each.key, every.each.kind) == ("one", "spark_python")


ERRORS: dict[str, tuple[dict[str, Any], str, str]] = {
    "tasks that are no list": (job() | {"tasks": {}}, "tasks", "a list is expected, not a mapping"),
    "a task that is no object": (job("load"), "tasks[0]", "a mapping is expected, not text"),  # type: ignore[arg-type]
    "a task without a key": (job({"spark_python_task": SCRIPT}), "tasks[0].task_key", "it is missing"),
    "a key that is none": (
        job(load("a b")),
        "tasks[0].task_key",
        "letters, digits, - and _ are expected, 100 at most, not 'a b'",
    ),
    "two tasks of one name": (job(load(), load()), "tasks[0].task_key", "there is more than one task 'load'"),
    "a task of no type": (
        job({"task_key": "a"}),
        "tasks[0].task_key",
        "task 'a' needs exactly one type, such as pipeline_task; it has none",
    ),
    "a task of two types": (
        job(load(run_job_task={"job_id": 1})),
        "tasks[0].task_key",
        "task 'load' needs exactly one type, such as pipeline_task; it has spark_python_task, run_job_task",
    ),
    "an unknown task": (
        job(load(), load("report", depends_on=[{"task_key": "laod"}])),
        "tasks[1].depends_on[0].task_key",
        "Unknown task 'laod'. Did you mean 'load'? Valid: load, report.",
    ),
    "a cycle": (
        job(load("a", depends_on=[{"task_key": "b"}]), load("b", depends_on=[{"task_key": "a"}])),
        "tasks",
        "tasks depend on each other in a cycle: ",
    ),
    "an outcome of what is no condition": (
        job(load(), load("b", depends_on=[{"task_key": "load", "outcome": "true"}])),
        "tasks[1].depends_on[0].outcome",
        "task 'load' is not a condition_task and has no outcome",
    ),
    "an unknown run_if": (
        job(load(run_if="ALWAYS")),
        "tasks[0].run_if",
        "one of ALL_SUCCESS, AT_LEAST_ONE_SUCCESS, NONE_FAILED, ALL_DONE, AT_LEAST_ONE_FAILED, ALL_FAILED is "
        "expected, not 'ALWAYS'",
    ),
    "text for a number": (
        job(load(max_retries="often")),
        "tasks[0].max_retries",
        "a whole number is expected, not 'often'",
    ),
    "a negative timeout": (
        job(load(timeout_seconds=-1)),
        "tasks[0].timeout_seconds",
        "a whole number of at least 0 is expected, not -1",
    ),
    "an object for a number": (
        job(load(timeout_seconds={})),
        "tasks[0].timeout_seconds",
        "text is expected, not a mapping",
    ),
    "a number for a flag": (
        job(load(retry_on_timeout=1)),
        "tasks[0].retry_on_timeout",
        "true or false is expected, not a number",
    ),
    "a wheel without an entry point": (
        job({"task_key": "a", "python_wheel_task": {"package_name": "p"}}),
        "tasks[0].python_wheel_task.entry_point",
        "it is missing",
    ),
    "parameters of a wrong type": (
        job({"task_key": "a", "spark_python_task": {**SCRIPT, "parameters": [["x"]]}}),
        "tasks[0].spark_python_task.parameters[0]",
        "text is expected, not a list",
    ),
    "an unknown operator": (
        job({"task_key": "a", "condition_task": {"op": "==", "left": "1", "right": "1"}}),
        "tasks[0].condition_task.op",
        "one of EQUAL_TO, NOT_EQUAL, GREATER_THAN, GREATER_THAN_OR_EQUAL, LESS_THAN, LESS_THAN_OR_EQUAL is "
        "expected, not '=='",
    ),
    "an unknown environment": (
        job(load(environment_key="defualt"), environments=[{"environment_key": "default"}]),
        "tasks[0].environment_key",
        "Unknown environment 'defualt'. Did you mean 'default'? Valid: default.",
    ),
    "a loop in a loop": (
        job(
            {
                "task_key": "a",
                "for_each_task": {
                    "inputs": "[1]",
                    "task": {"task_key": "b", "for_each_task": {"inputs": "[1]", "task": load()}},
                },
            }
        ),
        "tasks[0].for_each_task.task.for_each_task",
        "a for_each_task cannot repeat another",
    ),
    "a parameter without a default": (
        job(load(), parameters=[{"name": "day"}]),
        "parameters[0].default",
        "it is missing",
    ),
}


@pytest.mark.parametrize(("given", "field", "problem"), ERRORS.values(), ids=ERRORS.keys())
def test_a_mistake_is_one_line_that_names_the_field(given: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(SettingsError) as error:
        job_from_settings(given, "1")
    assert error.value.field == field
    assert str(error.value).startswith(f"{field}: {problem}")
    assert "\n" not in str(error.value)
    assert isinstance(error.value, LakerunError)


def test_a_bundles_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    (tmp_path / "resources").mkdir()
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "a-1.whl").write_bytes(b"")
    (tmp_path / "databricks.yml").write_text(
        "bundle: {name: b}\ninclude: [resources/*.yml]\n", encoding="utf-8"
    )
    (tmp_path / "resources" / "nightly.job.yml").write_text(
        """
resources:
  jobs:
    nightly:
      environments:
        - environment_key: default
          spec: {dependencies: [../dist/*.whl, ../none/*.whl, numpy]}
      tasks:
        - task_key: script
          environment_key: default
          spark_python_task: {python_file: ../src/run.py}
        - task_key: notebook
          notebook_task: {notebook_path: ../src/report}
        - task_key: shared
          notebook_task: {notebook_path: /Workspace/Shared/report}
""",
        encoding="utf-8",
    )
    script, notebook, shared = load_bundle(tmp_path).jobs["nightly"].tasks
    assert script.payload["python_file"] == str(tmp_path / "src" / "run.py")
    assert script.dependencies == (
        str(tmp_path / "dist" / "a-1.whl"),
        str(tmp_path / "none" / "*.whl"),  # the task that needs it says that no file matches
        "numpy",
    )
    assert notebook.payload["notebook_path"] == str(tmp_path / "src" / "report")
    assert shared.payload["notebook_path"] == "/Workspace/Shared/report"


def test_a_server_that_runs_jobs_elsewhere_does_not_load_spark() -> None:
    code = (
        "import sys; import lakerun.jobs.runner, lakerun.jobs.local_task_runner\n"
        "print(sorted({'pyspark', 'deltalake', 'duckdb', 'pandas', 'sqlglot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

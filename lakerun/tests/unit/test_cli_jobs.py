"""`lakerun run` of a job of notebooks, which need no Spark: progress, parts, exit codes, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lakerun.cli.main import command_line
from unit.job_lab import JobLab

BUNDLE = """
bundle:
  name: shop
resources:
  pipelines:
    counting:
      catalog: c
      schema: s
  jobs:
    nightly:
      parameters:
        - {name: day, default: monday}
      tasks:
        - task_key: load
          notebook_task: {notebook_path: ./load}
        - task_key: report
          depends_on: [{task_key: load}]
          notebook_task: {notebook_path: ./report.py}
        - task_key: publish
          depends_on: [{task_key: report}]
          notebook_task: {notebook_path: ./load}
"""


@pytest.fixture
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    lab = JobLab(tmp_path)
    lab.write_notebook("load", "dbutils.notebook.exit('loaded ' + dbutils.widgets.get('day'))")
    lab.write_notebook("report", "print('to the log')", "{}['orders']")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lakerun(*arguments: str) -> Result:
    return CliRunner().invoke(command_line(), list(arguments))


def test_a_failed_task_is_shown_with_its_reason_and_its_trace_is_in_the_log(
    project: Path, home: Path
) -> None:
    result = lakerun("run", "nightly", "--param", "day=friday")
    log = home / "logs" / "run.log"
    assert result.exit_code == 1
    assert result.stderr == f"Error: nightly failed: task 'report': KeyError: 'orders' Log: {log}\n"
    lines = [line.split(" in ")[0] for line in result.stdout.splitlines()]
    assert lines[:4] == [
        "task nightly.load RUNNING",
        "task nightly.load SUCCESS",
        "task nightly.report RUNNING",
        "task nightly.report FAILED",
    ]
    assert ": loaded friday" in result.stdout
    assert "task nightly.publish UPSTREAM_FAILED: task 'report' did not succeed" in lines
    text = log.read_text(encoding="utf-8")
    assert "report: to the log" in text
    assert f'File "{project / "report.py"}"' in text
    assert "to the log" not in result.stdout


def test_a_part_of_a_job_can_run(project: Path) -> None:
    result = lakerun("run", "nightly", "--only", "load", "--only", "publish", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert (found["job"], found["state"]) == ("nightly", "SUCCESS")
    assert [(task["key"], task["state"], task["error"]) for task in found["tasks"]] == [
        ("load", "SUCCESS", None),
        ("publish", "SUCCESS", None),
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("nightly", "--only", "laod"), "Unknown task 'laod'. Did you mean 'load'?"),
        (("counting", "--only", "load"), "--only is for a job, and 'counting' is a pipeline."),
        (("counting", "--spark-connect"), "--spark-connect is for a job, and 'counting' is a pipeline."),
        (("nightly", "--param", "dya=x"), "Unknown job parameter 'dya'. Did you mean 'day'?"),
    ],
)
def test_a_wrong_name_is_refused_before_anything_runs(
    project: Path, home: Path, arguments: tuple[str, ...], error: str
) -> None:
    result = lakerun("run", *arguments)
    assert result.exit_code == 2
    assert error in result.stderr
    assert not (home / "logs" / "run.log").exists()


def test_a_wheel_that_is_not_there_fails_the_task_that_needs_it(project: Path) -> None:
    file = project / "databricks.yml"
    wheel = "libraries: [{whl: ./dist/shop-*.whl}]"
    needing = file.read_text(encoding="utf-8").replace("./load}", f"./load}}\n          {wheel}", 1)
    file.write_text(needing, encoding="utf-8")
    result = lakerun("run", "nightly")
    assert result.exit_code == 1
    assert (
        "Error: nightly failed: task 'load': No wheel matches "
        f"'{project}/dist/shop-*.whl': build it, or correct the pattern. Log:"
    ) in result.stderr
    needing = needing.replace("resources:", "artifacts: {shop: {type: whl, build: 'true'}}\nresources:", 1)
    file.write_text(needing, encoding="utf-8")
    (project / "pyproject.toml").write_text("[project]\nname = 'pydantic'", encoding="utf-8")
    assert "No wheel matches" in lakerun("run", "nightly").stderr  # another package's


@pytest.mark.parametrize(
    ("arguments", "variable", "connect"),
    [([], "", False), (["--spark-connect"], "", True), ([], "1", True), ([], "0", False)],
)
def test_spark_connect_is_an_option_or_a_variable(
    project: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], variable: str, connect: bool
) -> None:
    """PySpark's functions are Connect's before a session starts."""
    code = f"from pyspark.sql.utils import is_remote\nassert is_remote() is {connect}"
    JobLab(project).write_notebook("report", code)
    monkeypatch.setenv("LAKEHOUSE_SPARK_CONNECT", variable)
    result = lakerun("run", "nightly", "--only", "report", *arguments)
    assert result.exit_code == 0, result.output

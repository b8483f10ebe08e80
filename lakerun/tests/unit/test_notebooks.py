"""Notebooks as tasks: their cells, magics, widgets, exit values, and errors with the right line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unit.job_lab import JobLab, error_of, states, task


@pytest.fixture
def lab(tmp_path: Path) -> JobLab:
    return JobLab(tmp_path)


def test_a_notebook_runs_cell_by_cell(lab: JobLab) -> None:
    lab.write_notebook("shared", "def double(x):\n    return 2 * x")
    spec = lab.notebook(
        "report",
        "# MAGIC %md\n# MAGIC # A title\n# MAGIC print('not code')",
        "# MAGIC %run ./shared",
        "# MAGIC %pip install pydantic",
        "# DBTITLE 1,Numbers\nprint(double(21))",
        "# MAGIC %python\n# MAGIC number = double(4)",
        "display(number)\ndbutils.notebook.exit(number)",
        "print('never')",
    )
    result = lab.run(lab.job(spec))
    assert result.state == "SUCCESS"
    assert lab.logs("report").splitlines() == [
        "%pip install pydantic: installed before the task started",
        "42",
        "8",
    ]
    outcome = lab.last("report").outcome
    assert outcome is not None
    assert (outcome.result, outcome.message) == ("8", "8")


def test_code_below_an_installation_runs(lab: JobLab) -> None:
    lab.write_notebook(
        "shared",
        "# MAGIC %pip install pydantic\n# MAGIC\n# MAGIC def double(x):\n# MAGIC     return 2 * x",
    )
    spec = lab.notebook(
        "report",
        "# MAGIC %pip install pydantic\n# MAGIC %restart_python\n# MAGIC # It is there\n# MAGIC x = 4",
        "# MAGIC %run ./shared",
        "dbutils.notebook.exit(double(x))",
    )
    assert lab.run(lab.job(spec)).state == "SUCCESS"
    assert lab.last("report").message == "8"
    assert lab.logs("report").splitlines() == [
        "%pip install pydantic: installed before the task started",
        "%pip install pydantic: installed before the task started",
    ]


@pytest.mark.parametrize("restart", ["# MAGIC %restart_python", "dbutils.library.restartPython()"])
def test_a_restart_of_python_forgets_what_earlier_cells_have_defined(lab: JobLab, restart: str) -> None:
    spec = lab.notebook(
        "report",
        "import math\nx = 4",
        restart,
        "found = sorted({'x', 'math', 'dbutils'} & globals().keys())\ndbutils.notebook.exit(found)",
    )
    assert lab.run(lab.job(spec)).state == "SUCCESS"
    assert lab.last("report").message == "['dbutils']"


def test_a_restart_of_python_ends_its_cell(lab: JobLab) -> None:
    spec = lab.notebook(
        "report",
        "x = 1\ntry:\n    dbutils.library.restartPython()\nexcept Exception:\n    pass\nprint('no')\ny = x",
        "print('y' in globals(), 'x' in globals())",
    )
    assert lab.run(lab.job(spec)).state == "SUCCESS"
    assert lab.logs("report").splitlines() == ["False False"]


def test_a_script_cannot_restart_python_and_goes_on(lab: JobLab) -> None:
    spec = lab.script("go", "dbutils.library.restartPython()\nprint('after')")
    assert lab.run(lab.job(spec)).state == "SUCCESS"
    assert lab.logs("go").splitlines() == ["after"]


def test_a_magic_below_code_is_refused(lab: JobLab) -> None:
    spec = lab.notebook("report", "x = 1\n# MAGIC %sql\n# MAGIC SELECT 1")
    assert error_of(lab.run(lab.job(spec)), "report") == (
        "report.py:3: %sql must be the first line of its cell."
    )


def test_an_error_below_an_installation_has_the_right_line(lab: JobLab) -> None:
    spec = lab.notebook("report", "x = 0", "# MAGIC %pip install pydantic\n# MAGIC\n# MAGIC print(1 / x)")
    lab.run(lab.job(spec))
    source = (lab.folder / "report.py").read_text(encoding="utf-8").splitlines()
    number = source.index("# MAGIC print(1 / x)") + 1
    assert f'report.py", line {number}, in <module>' in lab.logs("report")


def test_widgets_have_the_jobs_parameter_the_tasks_then_the_notebooks_default(lab: JobLab) -> None:
    cell = """
    for name in ("day", "size", "colour"):
        dbutils.widgets.text(name, "default", "Label")
    print({name: dbutils.widgets.get(name) for name in ("day", "size", "colour")})
    """
    spec = lab.notebook("n", cell, widgets={"day": "task", "size": "{{job.name}}"})
    lab.run(lab.job(spec, parameters={"day": "monday"}))
    assert lab.last("n").message == "{'day': 'monday', 'size': 'nightly', 'colour': 'default'}"


def test_a_notebook_that_raises_names_its_line(lab: JobLab) -> None:
    spec = lab.notebook("bad", "rows = []", "def first():\n    return rows[0]\n\nfirst()")
    result = lab.run(lab.job(spec, lab.script("after", "", after="bad")))
    assert states(result) == {"bad": "FAILED", "after": "UPSTREAM_FAILED"}
    assert error_of(result, "bad") == "IndexError: list index out of range"
    outcome = lab.last("bad").outcome
    assert outcome is not None
    # Header, first cell, a separator with empty lines around it: the second cell starts at line 6.
    text = (lab.folder / "bad.py").read_text(encoding="utf-8").splitlines()
    line = text.index("first()") + 1
    assert f'File "{lab.folder / "bad.py"}", line {line}, in <module>\n    first()' in str(outcome.trace)
    assert f"line {line - 2}, in first" in str(outcome.trace)


@pytest.mark.parametrize(
    ("cells", "error"),
    [
        (["x = (", ""], "SyntaxError: '(' was never closed (n.py, line 2)"),
        (["# MAGIC %scala\n# MAGIC val x = 1"], "n.py:2: %scala cells are not supported here."),
        (["# MAGIC %run ./missing"], "Notebook './missing' does not exist."),
        (["# MAGIC %run ./n"], "Notebooks include each other more than 20 deep: n.py."),
        (["dbutils.widgets.get('day')"], "Unknown widget 'day'. There is none yet."),
        (["dbutils.secrets.get('shop', 'token')"], "There is no secret 'token' in scope 'shop'."),
        (
            ["dbutils.jobs.taskValues.get('load', 'rows')"],
            "Unknown task with values 'load'. There is none yet.",
        ),
        (
            ["dbutils.jobs.taskValues.set('rows', {1})"],
            "Task value 'rows' cannot be stored: a set is not valid in JSON.",
        ),
        (["dbutils.fs.ls('/Volumes/../../x')"], "'/Volumes/../../x' leads out of /Volumes."),
    ],
)
def test_a_mistake_in_a_notebook_is_one_line(lab: JobLab, cells: list[str], error: str) -> None:
    assert error_of(lab.run(lab.job(lab.notebook("n", *cells))), "n") == error


def test_a_missing_notebook_is_named(lab: JobLab) -> None:
    spec = task("n", "notebook", {"notebook_path": "/Shared/none"})
    assert error_of(lab.run(lab.job(spec)), "n") == "Notebook '/Shared/none' does not exist."


def test_a_notebook_runs_another_and_gets_its_exit_value(lab: JobLab) -> None:
    lab.write_notebook(
        "inner", "dbutils.notebook.exit('hello ' + dbutils.widgets.get('who'))", "print('never')"
    )
    spec = lab.notebook(
        "outer", "print(dbutils.notebook.run('inner', 60, {'who': 'Ana'}))", "print('goes on')"
    )
    lab.run(lab.job(spec))
    assert lab.logs("outer") == "hello Ana\ngoes on\n"


def test_a_jupyter_notebook_runs_its_code_cells(lab: JobLab) -> None:
    (lab.folder / "book.ipynb").write_text(
        '{"cells": [{"cell_type": "markdown", "source": ["# 1 / 0"]},'
        '{"cell_type": "code", "source": ["x = 20\\n", "x += 1"]},'
        '{"cell_type": "code", "source": "%pip install numpy\\nx *= 2\\n"},'
        '{"cell_type": "code", "source": "print(2 * x)"}], "nbformat": 4}',
        encoding="utf-8",
    )
    lab.run(lab.job(task("book", "notebook", {"notebook_path": str(lab.folder / "book")})))
    assert lab.last("book").message == "84"


@pytest.mark.parametrize("name", ["book.ipynb", "book"])
def test_a_jupyter_notebook_as_databricks_exports_it(lab: JobLab, name: str) -> None:
    # JSON's false is not Python's; a deployed notebook has no ending; the language is the notebook's.
    content = {
        "cells": [
            {
                "cell_type": "code",
                "metadata": {"hidden": False},
                "source": ["%load_ext autoreload\n", "%autoreload 2"],
            },
            {"cell_type": "code", "source": "%python\nprint('run')\n"},
            {"cell_type": "code", "source": "%md # title"},
            {"cell_type": "code", "source": ["-- nothing but a comment"]},
        ],
        "metadata": {"application/vnd.databricks.v1+notebook": {"language": "sql"}},
        "nbformat": 4,
    }
    (lab.folder / name).write_text(json.dumps(content), encoding="utf-8")
    lab.run(lab.job(task("book", "notebook", {"notebook_path": str(lab.folder / name)})))
    assert lab.last("book").state == "SUCCESS"
    assert lab.logs("book").splitlines()[-1] == "run"

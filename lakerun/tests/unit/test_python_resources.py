"""Bundles that define resources in Python, loaded by Databricks' own package."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakerun.bundles.load import load_bundle
from lakerun.errors import BundleError

BUNDLE = """
bundle: {name: b}
python: {resources: ["made:load_resources"], mutators: ["made:slower"]}
include: [resources/*.yml]
variables: {catalog: {default: shop}}
targets: {dev: {default: true}, prod: {}}
"""
YAML_JOB = """
resources:
  jobs:
    written:
      name: written
      tasks: [{task_key: a, spark_python_task: {python_file: ../src/a.py}}]
"""
MADE = """
from dataclasses import replace

from databricks.bundles.core import Resources, job_mutator
from databricks.bundles.jobs import Job


def load_resources(bundle):
    resources = Resources()
    tasks = [{"task_key": "b", "notebook_task": {"notebook_path": "src/b.py"}}]
    parameters = [{"name": "catalog", "default": "${var.catalog}"}]
    made = {"name": f"made for {bundle.target}", "tasks": tasks, "parameters": parameters}
    resources.add_job("made", Job.from_dict(made))
    return resources


@job_mutator
def slower(bundle, job):
    return replace(job, timeout_seconds=60)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "resources").mkdir()
    (tmp_path / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    (tmp_path / "resources" / "written.yml").write_text(YAML_JOB, encoding="utf-8")
    (tmp_path / "made.py").write_text(MADE, encoding="utf-8")
    return tmp_path


def test_python_adds_and_changes_resources(root: Path) -> None:
    jobs = load_bundle(root, "prod").jobs
    assert list(jobs) == ["written", "made"]
    assert jobs["made"].name == "made for prod"
    assert jobs["made"].parameters == {"catalog": "shop"}
    # Of what Python defines, paths start in the bundle's folder; of YAML, in the file's.
    assert jobs["made"].tasks[0].payload["notebook_path"] == str(root / "src" / "b.py")
    assert jobs["written"].tasks[0].payload["python_file"] == str(root / "src" / "a.py")
    assert (jobs["made"].timeout_seconds, jobs["written"].timeout_seconds) == (60, 60)


def test_an_error_in_python_is_one_line_with_its_place(root: Path) -> None:
    (root / "made.py").write_text("def load_resources(bundle):\n    return 1 / 0\n", encoding="utf-8")
    with pytest.raises(BundleError) as caught:
        load_bundle(root)
    assert "Failed to load resources" in str(caught.value)
    assert "ZeroDivisionError: division by zero" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_virtual_environment_that_is_not_there_is_named(root: Path) -> None:
    text = BUNDLE.replace("python: {", "python: {venv_path: .venv, ")
    (root / "databricks.yml").write_text(text, encoding="utf-8")
    with pytest.raises(
        BundleError, match=r"python\.venv_path: there is no folder '\.venv': make it with 'uv sync'"
    ):
        load_bundle(root)

"""Jobs whose tasks are real scripts, notebooks and wheels, written to a temporary folder."""

from __future__ import annotations

import textwrap
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakerun.bundles.job_specs import job_from_settings
from lakerun.bundles.model import JobSpec, PipelineSpec
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.results import JobResult, TaskState, TaskUpdate
from lakerun.jobs.runner import run_job
from lakerun.tables.storage import Storage


class JobLab:
    """Writes tasks, runs jobs without Spark, and keeps the updates that a listener gets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = Storage(folder / "lakehouse")
        self.task_runner = LocalTaskRunner(self.storage, lambda: None, stop_seconds=0.5)
        self.jobs: dict[str, JobSpec] = {}
        self.pipelines: dict[str, PipelineSpec] = {}
        self.updates: list[TaskUpdate] = []
        self.canceled = threading.Event()

    def script(self, key: str, body: str, *parameters: str, **settings: Any) -> dict[str, Any]:
        """A task that runs a Python script."""
        file = self.folder / f"{key}.py"
        file.write_text(textwrap.dedent(body), encoding="utf-8")
        return task(
            key, "spark_python", {"python_file": str(file), "parameters": list(parameters)}, **settings
        )

    def notebook(self, key: str, *cells: str, **settings: Any) -> dict[str, Any]:
        """A task that runs a notebook in Databricks' source format; `widgets` are its base parameters."""
        widgets = settings.pop("widgets", {})
        self.write_notebook(key, *cells)
        payload = {"notebook_path": str(self.folder / key), "base_parameters": widgets}
        return task(key, "notebook", payload, **settings)

    def write_notebook(self, name: str, *cells: str) -> Path:
        file = self.folder / f"{name}.py"
        texts = [textwrap.dedent(cell).strip("\n") for cell in cells]
        text = "\n\n# COMMAND ----------\n\n".join(texts)
        file.write_text(f"# Databricks notebook source\n{text}\n", encoding="utf-8")
        return file

    def wheel(self, package: str, code: str, scripts: str = "") -> Path:
        """A wheel file of one module, with its entry points."""
        file = self.folder / f"{package}-1.0-py3-none-any.whl"
        info = f"{package}-1.0.dist-info"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"{package}.py", textwrap.dedent(code))
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
            archive.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{scripts}\n")
        return file

    def job(self, *tasks: Mapping[str, Any], key: str = "nightly", **settings: Any) -> JobSpec:
        """A job with these tasks, known to the run-job tasks of others."""
        given = {"name": key, "tasks": list(tasks), **settings}
        parameters = settings.get("parameters")
        if isinstance(parameters, dict):
            given["parameters"] = [{"name": name, "default": value} for name, value in parameters.items()]
        self.jobs[key] = job_from_settings(given, key)
        return self.jobs[key]

    def run(self, job: JobSpec, **options: Any) -> JobResult:
        parameters = options.pop("parameters", {})
        return run_job(
            job,
            parameters,
            resources=self,
            task_runner=self.task_runner,
            on_task=self.updates.append,
            canceled=self.canceled,
            **options,
        )

    def last(self, key: str) -> TaskUpdate:
        """The last update of a task."""
        return [update for update in self.updates if update.key == key][-1]

    def logs(self, key: str) -> str:
        outcome = self.last(key).outcome
        assert outcome is not None
        return outcome.logs


def task(key: str, kind: str, payload: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """A task's settings; `after` are the tasks that it depends on, `name=outcome` for a branch."""
    after = settings.pop("after", ())
    depends_on = []
    for entry in [after] if isinstance(after, str) else after:
        upstream, _, outcome = entry.partition("=")
        depends_on.append({"task_key": upstream} | ({"outcome": outcome} if outcome else {}))
    return {"task_key": key, f"{kind}_task": dict(payload), "depends_on": depends_on, **settings}


def states(result: JobResult) -> dict[str, TaskState]:
    return {item.key: item.state for item in result.tasks}


def error_of(result: JobResult, key: str) -> str:
    (found,) = [item for item in result.tasks if item.key == key]
    return str(found.error)

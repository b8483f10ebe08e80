"""The parts of a bundle that a laptop runs: its pipelines and jobs, every name and reference resolved."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from lakerun.bundles.triggers import TriggerSpec
from lakerun.errors import LakerunError, UnknownNameError
from lakerun.tables.storage import TableName

# Databricks calls the schema `schema`; pydantic warns because a deprecated method of its own has that name.
warnings.filterwarnings("ignore", message='Field name "schema" in "PipelineSpec"', category=UserWarning)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(_Frozen):
    """A setting that is refused here, or has no effect, and why; `location` is its place in the bundle."""

    setting: str
    message: str
    location: str = ""


class PipelineSpec(_Frozen):
    """One pipeline. `source_files` are the files that its libraries name, sorted. `dependencies` are the
    lines of its environment, as of a requirements file.

    The pipeline's code reads `configuration` from the Spark conf. `spark_conf` are the settings of its
    cluster: those that Spark reads only at its start are left out. `event_log` is the table in which the
    event log is published, or None. With a `refused` setting it cannot run.
    """

    key: str
    name: str
    catalog: str
    schema: str  # type: ignore[assignment]
    configuration: dict[str, str]
    source_files: tuple[Path, ...]
    root_path: Path | None
    event_log: TableName | None
    serverless: bool
    development: bool
    dependencies: tuple[str, ...] = ()
    spark_conf: dict[str, str] = {}
    refused: tuple[Finding, ...] = ()
    without_effect: tuple[Finding, ...] = ()


class TaskSpec(_Frozen):
    """One task of a job. `kind` is its type without `_task`: python_wheel, pipeline, run_job, ...

    `payload` holds the type's own settings, with `{{...}}` references as written; `pipeline_id` and
    `job_id` in it are text: keys of the bundle, or ids in a workspace. `outcomes` are the results, "true" or
    "false", that the task requires of the condition tasks in `depends_on`. `max_retries` of -1 means no
    limit; a timeout of 0 means none. `dependencies` are the lines of the task's environment and libraries, as
    of a requirements file, every path absolute. `spark_conf` are the settings of its cluster. `each` is the
    task that a for_each task repeats.
    """

    key: str
    kind: str
    payload: dict[str, Any]
    depends_on: tuple[str, ...] = ()
    outcomes: dict[str, str] = {}
    run_if: str = "ALL_SUCCESS"
    max_retries: int = 0
    min_retry_interval_millis: int = 0
    retry_on_timeout: bool = False
    timeout_seconds: int = 0
    disabled: bool = False
    dependencies: tuple[str, ...] = ()
    spark_conf: dict[str, str] = {}
    each: TaskSpec | None = None


class JobSpec(_Frozen):
    """One job. `parameters` are its job parameters with their defaults; tasks are in the order of the file.

    `key` is its key in the bundle, or its id in a workspace. A `trigger` that is paused is None. With a
    `refused` setting it cannot run.
    """

    key: str
    name: str
    parameters: dict[str, str]
    tasks: tuple[TaskSpec, ...]
    schedule: dict[str, Any] | None = None
    queue: bool = False
    max_concurrent_runs: int = 1
    timeout_seconds: int = 0
    trigger: TriggerSpec | None = None
    refused: tuple[Finding, ...] = ()
    without_effect: tuple[Finding, ...] = ()


class DashboardSpec(_Frozen):
    """A dashboard's file, and the place in the bundle that names it.

    With `schema_is_given`, the deployment sets the schema of tables that its queries name without one.
    """

    key: str
    file: Path
    location: str
    schema_is_given: bool = False


class Artifact(_Frozen):
    """A wheel that the command `build`, run in `folder`, makes."""

    key: str
    folder: Path
    build: str


class Bundle(_Frozen):
    """A bundle resolved for one target. `resources` holds every resource, by type and key, resolved."""

    name: str
    target: str
    root: Path
    variables: dict[str, Any]
    pipelines: dict[str, PipelineSpec]
    jobs: dict[str, JobSpec]
    dashboards: dict[str, DashboardSpec] = {}
    artifacts: tuple[Artifact, ...] = ()
    resources: dict[str, dict[str, dict[str, Any]]]

    def find(self, name: str) -> PipelineSpec | JobSpec:
        """The pipeline or job with this key or name; UnknownNameError lists the valid ones.

        The key of another resource, such as an app, is a LakerunError: only pipelines and jobs run here.
        """
        found: dict[str, PipelineSpec | JobSpec] = {**self.pipelines, **self.jobs}
        if name in found:
            return found[name]
        for spec in found.values():
            if spec.name == name:
                return spec
        for kind, resources in self.resources.items():
            if name in resources:
                raise LakerunError(f"resources.{kind}.{name} does not run here: only jobs and pipelines do.")
        raise UnknownNameError("job or pipeline", name, found)

"""What a job's settings must hold before they are stored. Other fields are kept as given."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr, model_validator

from lakerun.workspace.errors import invalid
from lakerun.workspace.services.checks import check
from lakerun.workspace.store import Document

RUN_IF = Literal[
    "ALL_SUCCESS", "ALL_DONE", "NONE_FAILED", "AT_LEAST_ONE_SUCCESS", "ALL_FAILED", "AT_LEAST_ONE_FAILED"
]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Dependency(_Part):
    task_key: StrictStr
    outcome: Literal["true", "false"] | None = None


class _Wheel(_Part):
    package_name: StrictStr
    entry_point: StrictStr
    parameters: list[StrictStr] | None = None
    named_parameters: dict[str, StrictStr] | None = None


class _Script(_Part):
    python_file: StrictStr
    parameters: list[StrictStr] | None = None


class _Notebook(_Part):
    notebook_path: StrictStr
    base_parameters: dict[str, StrictStr] | None = None


class _Pipeline(_Part):
    pipeline_id: StrictStr
    full_refresh: bool | None = None


class _RunJob(_Part):
    job_id: int
    job_parameters: dict[str, StrictStr] | None = None


class _Condition(_Part):
    op: Literal[
        "EQUAL_TO", "NOT_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL"
    ]
    left: StrictStr
    right: StrictStr


class _Task(_Part):
    task_key: Annotated[StrictStr, Field(pattern=r"^[\w\-]{1,100}$")]
    depends_on: list[_Dependency] = []
    run_if: RUN_IF = "ALL_SUCCESS"
    timeout_seconds: Count = 0
    max_retries: Annotated[int, Field(ge=-1)] = 0
    min_retry_interval_millis: Count = 0
    environment_key: StrictStr | None = None
    python_wheel_task: _Wheel | None = None
    spark_python_task: _Script | None = None
    notebook_task: _Notebook | None = None
    pipeline_task: _Pipeline | None = None
    run_job_task: _RunJob | None = None
    condition_task: _Condition | None = None

    @model_validator(mode="after")
    def _has_one_type(self) -> _Task:
        types = [key for key, value in self if key.endswith("_task") and value is not None]
        if len(types) != 1:
            raise ValueError(
                f"needs exactly one type, such as notebook_task; given: {', '.join(types) or 'none'}"
            )
        return self


class _Parameter(_Part):
    name: Annotated[StrictStr, Field(pattern=r"^[\w\-.]+$")]
    default: StrictStr


class _Environment(_Part):
    environment_key: StrictStr
    spec: dict[str, Any] | None = None


class _Schedule(_Part):
    quartz_cron_expression: StrictStr
    timezone_id: StrictStr
    pause_status: Literal["PAUSED", "UNPAUSED"] = "UNPAUSED"


class _Queue(_Part):
    enabled: bool


class _Settings(_Part):
    name: StrictStr = "Untitled"
    tasks: list[_Task] = []
    parameters: list[_Parameter] = []
    environments: list[_Environment] = []
    tags: dict[str, StrictStr] | None = None
    schedule: _Schedule | None = None
    queue: _Queue | None = None
    max_concurrent_runs: Annotated[int, Field(ge=0, le=1000)] = 1
    timeout_seconds: Count = 0


def checked_settings(settings: Document, at: str = "") -> Document:
    """The settings with Databricks' own defaults; INVALID_PARAMETER_VALUE names the field that is wrong."""
    parsed = check(_Settings, settings, at)
    _check_unique("parameters", [parameter.name for parameter in parsed.parameters])
    _check_unique("environments", [environment.environment_key for environment in parsed.environments])
    _check_graph(parsed)
    kept = {"email_notifications": {}, "webhook_notifications": {}, "format": "MULTI_TASK", **settings}
    kept |= {
        "name": parsed.name,
        "max_concurrent_runs": parsed.max_concurrent_runs,
        "timeout_seconds": parsed.timeout_seconds,
    }
    kept["tasks"] = [_with_defaults(task) for task in settings.get("tasks") or []]
    return kept


def _check_graph(settings: _Settings) -> None:
    keys = [task.task_key for task in settings.tasks]
    _check_unique("tasks", keys)
    environments = {environment.environment_key for environment in settings.environments}
    for number, task in enumerate(settings.tasks):
        for dependency in task.depends_on:
            if dependency.task_key not in keys:
                raise invalid(
                    f"tasks.{number}.depends_on: task '{task.task_key}' depends on '{dependency.task_key}', "
                    "which is not a task of this job."
                )
        if task.environment_key is not None and task.environment_key not in environments:
            raise invalid(
                f"tasks.{number}.environment_key: '{task.environment_key}' is not in the job's environments."
            )
    try:
        TopologicalSorter(
            {
                task.task_key: [dependency.task_key for dependency in task.depends_on]
                for task in settings.tasks
            }
        ).prepare()
    except CycleError as error:
        raise invalid(f"tasks: depends_on makes a cycle: {' -> '.join(error.args[1])}.") from None


def _check_unique(field: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise invalid(f"{field}: '{twice[0]}' is there more than once.")


def _with_defaults(task: Document) -> Document:
    kept = {"run_if": "ALL_SUCCESS", "timeout_seconds": 0, "email_notifications": {}, **task}
    for kind in ("notebook_task", "spark_python_task"):
        if kept.get(kind) is not None:
            kept[kind] = {"source": "WORKSPACE", **kept[kind]}
    return kept

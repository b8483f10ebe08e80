"""Requests to run a job: `RunNow`, and the job's settings with the request's parameters in them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from lakerun.workspace.requests import RequestModel, Whole

REFUSED = ("dbt_commands", "jar_params", "spark_submit_params", "sql_params")
OVERRIDES = ("notebook_params", "python_params", "python_named_params", "pipeline_params")


class RunNow(RequestModel):
    """The body of `jobs/run-now`."""

    job_id: Whole
    job_parameters: dict[str, str] = {}
    only: list[str] = []
    idempotency_token: Annotated[str | None, Field(max_length=64)] = None
    notebook_params: dict[str, str] = {}
    python_params: list[str] = []
    python_named_params: dict[str, str] = {}
    pipeline_params: dict[str, Any] = {}
    queue: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, body: Any) -> Any:
        for name in REFUSED:
            if isinstance(body, Mapping) and body.get(name):
                raise ValueError(f"{name} is for tasks that are not supported here")
        return body

    def overriding(self) -> dict[str, Any]:
        """The given parameters that are for one kind of task."""
        return {name: value for name in OVERRIDES if (value := getattr(self, name))}


def with_overrides(settings: Mapping[str, Any], request: RunNow) -> dict[str, Any]:
    """The job's settings with the request's parameters in the tasks of their kind."""
    changed = copy.deepcopy(dict(settings))
    if request.queue is not None:
        changed["queue"] = request.queue
    for task in changed.get("tasks") or []:
        _override(task, request)
        if inner := (task.get("for_each_task") or {}).get("task"):
            _override(inner, request)
    return changed


def _override(task: dict[str, Any], request: RunNow) -> None:
    if (notebook := task.get("notebook_task")) and request.notebook_params:
        notebook["base_parameters"] = {**(notebook.get("base_parameters") or {}), **request.notebook_params}
    if (wheel := task.get("python_wheel_task")) and request.python_named_params:
        wheel["named_parameters"] = {**(wheel.get("named_parameters") or {}), **request.python_named_params}
    for kind in ("python_wheel_task", "spark_python_task"):
        if (script := task.get(kind)) and request.python_params:
            script["parameters"] = list(request.python_params)
    if (pipeline := task.get("pipeline_task")) and request.pipeline_params:
        pipeline.update(request.pipeline_params)

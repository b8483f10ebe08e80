"""Gives runs the deployed jobs and pipelines, and prepares their tasks for workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from lakerun.bundles.job_specs import job_from_settings
from lakerun.bundles.model import JobSpec, PipelineSpec
from lakerun.errors import LakerunError
from lakerun.jobs.tasks import TaskCall, TaskOutcome, TaskRunner
from lakerun.pipelines.results import Event
from lakerun.workspace.services.compute.deployed import Deployed
from lakerun.workspace.services.pipelines.updates import Updates
from lakerun.workspace.store import Document, Store

T = TypeVar("T")
PATHS = {"notebook": "notebook_path", "spark_python": "python_file"}


class DeployedResources:
    """The workspace's jobs and pipelines by id, read when a task needs one; a `Resources`."""

    def __init__(self, store: Store, deployed: Deployed) -> None:
        self._jobs = _Documents(store, "job", lambda body: job_from_settings(body["settings"], _id(body)))
        self._pipelines = _Documents(
            store, "pipeline", lambda body: deployed.pipeline(body["pipeline_id"], body["spec"])
        )

    @property
    def jobs(self) -> Mapping[str, JobSpec]:
        return self._jobs

    @property
    def pipelines(self) -> Mapping[str, PipelineSpec]:
        return self._pipelines


@dataclass(frozen=True)
class DeployedTasks:
    """Runs the tasks of one run: finds files and wheels, and starts updates for pipeline tasks."""

    settings: Mapping[str, Any]
    deployed: Deployed
    compute: TaskRunner
    updates: Updates

    def execute(
        self, call: TaskCall, on_event: Callable[[Event], None], canceled: threading.Event
    ) -> TaskOutcome:
        """Run one attempt; it fails if something that it needs is not deployed."""
        if call.kind == "pipeline":
            return self.updates.run_task(call, on_event, canceled)
        try:
            prepared = replace(call, payload=self._payload(call), dependencies=self._dependencies(call))
        except LakerunError as error:
            return TaskOutcome(error=str(error))
        return self.compute.execute(prepared, on_event, canceled)

    def _payload(self, call: TaskCall) -> dict[str, Any]:
        payload = dict(call.payload)
        if payload.get("source") == "GIT":
            raise LakerunError(f"Task {call.task_key}: files from Git are not supported here; deploy them.")
        if name := PATHS.get(call.kind):
            payload[name] = str(self.deployed.source(payload[name]))
        return payload

    def _dependencies(self, call: TaskCall) -> tuple[str, ...]:
        owner = f"Task {call.task_key}"
        if name := self._task(call.task_key).get("environment_key"):
            owner += f": environment '{name}' (environment_key)"
        return self.deployed.dependencies(call.dependencies, owner)

    def _task(self, key: str) -> Mapping[str, Any]:
        """A task's settings; an iteration's are part of its for-each task's."""
        base, bracket, _ = key.partition("[")
        task: Mapping[str, Any] = next(t for t in self.settings["tasks"] if t["task_key"] == base)
        return task["for_each_task"]["task"] if bracket else task


class _Documents(Mapping[str, T], Generic[T]):
    """Documents of one kind by id, as the runner's models."""

    def __init__(self, store: Store, kind: str, read: Callable[[Document], T]) -> None:
        self._store = store
        self._kind = kind
        self._read = read

    def __getitem__(self, key: str) -> T:
        body = self._store.get(self._kind, key)
        if body is None:
            raise KeyError(key)
        return self._read(body)

    def __contains__(self, key: object) -> bool:
        return self._store.get(self._kind, str(key)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(_id(body) for body in self._store.list(self._kind))

    def __len__(self) -> int:
        return len(self._store.list(self._kind))


def _id(body: Document) -> str:
    return str(body["job_id"] if "job_id" in body else body["pipeline_id"])

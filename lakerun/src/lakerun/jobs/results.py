"""The reports of a job's run: changes of its tasks while it runs, its result when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from lakerun.jobs.tasks import TaskOutcome
from lakerun.pipelines.results import UpdateResult

TaskState = Literal[
    "PENDING",
    "RUNNING",
    # A task's final states, as Databricks names them. EXCLUDED: its condition did not hold; not a failure.
    "SUCCESS",
    "FAILED",
    "TIMEDOUT",
    "CANCELED",
    "EXCLUDED",
    "DISABLED",
    "UPSTREAM_FAILED",
    "UPSTREAM_CANCELED",
    # Only for jobs: some tasks failed, but no leaf task.
    "SUCCESS_WITH_FAILURES",
]


@dataclass(frozen=True)
class TaskResult:
    """The result of a task; a pipeline task's has its update, a run-job task's the result of the job.

    `seconds` include all attempts and the waits between them.
    """

    key: str
    state: TaskState
    seconds: float
    error: str | None = None
    update: UpdateResult | None = None
    job: JobResult | None = None
    attempts: int = 1


@dataclass(frozen=True)
class JobResult:
    """The result of a job's run. `error` has a cause that is not in the tasks: canceled, timed out."""

    job: str
    run_id: str
    state: TaskState
    tasks: tuple[TaskResult, ...]
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class TaskUpdate:
    """A task of a job changed its state.

    Every attempt has its own `task_run_id` and `attempt`, a number from 0. The update that ends an attempt
    has `ended`, and `outcome` if the attempt ran; with `will_retry` another attempt follows. `payload` has
    the settings with references replaced, from RUNNING on. `nested_run_id` is the run that a run-job task
    started. Iterations of a for-each task have its key in `parent` and their number in `iteration`.
    """

    job: str
    key: str
    state: TaskState
    seconds: float = 0.0
    message: str = ""
    run_id: str = ""
    task_run_id: str = ""
    attempt: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    payload: Mapping[str, Any] | None = None
    outcome: TaskOutcome | None = None
    will_retry: bool = False
    nested_run_id: str | None = None
    parent: str | None = None
    iteration: int | None = None


TaskListener = Callable[[TaskUpdate], None]
"""Called for every change of a task, from any thread, one call at a time."""

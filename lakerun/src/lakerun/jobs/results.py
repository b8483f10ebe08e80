"""What a run of a job reports: changes of its tasks while it goes on, its result when it ends."""

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
    # How a task ends, as Databricks names it. EXCLUDED: its condition did not hold, which is no failure.
    "SUCCESS",
    "FAILED",
    "TIMEDOUT",
    "CANCELED",
    "EXCLUDED",
    "DISABLED",
    "UPSTREAM_FAILED",
    "UPSTREAM_CANCELED",
    # Of a job alone: tasks failed, but none that the graph ends with.
    "SUCCESS_WITH_FAILURES",
]


@dataclass(frozen=True)
class TaskResult:
    """How a task of a job ended; a pipeline task carries its update, a run-job task its job.

    `seconds` include all attempts and what lies between them.
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
    """How a run of a job ended. `error` says why, where that is not in the tasks: canceled, timed out."""

    job: str
    run_id: str
    state: TaskState
    tasks: tuple[TaskResult, ...]
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class TaskUpdate:
    """A task of a job changed its state.

    `task_run_id` is the attempt's own; a retry has another one, and the next `attempt` (from 0). The update
    that ends an attempt has `ended`, and its `outcome` where it ran; `will_retry` says that another attempt
    follows. `payload` are the settings with references replaced, from RUNNING on. A run-job task's
    `nested_run_id` is the run that it started. Iterations of a for-each task have its key in `parent` and
    their number in `iteration`.
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

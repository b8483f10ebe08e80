"""`TaskRunner`: the narrow interface between a job's run and the code that executes its tasks.

`runner.py` decides when a task runs, resolves references, retries and waits. A task runner runs one attempt
of one task: in this process for the command line, in a worker process for the local workspace.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lakerun.bundles.model import PipelineSpec
from lakerun.pipelines.results import Event, UpdateResult


@dataclass(frozen=True)
class TaskCall:
    """One attempt of one task, every `{{...}}` reference resolved.

    `kind` is python_wheel, spark_python, notebook or pipeline; the other kinds need no task runner.
    `parameters` are the run's job parameters, which a notebook reads as widgets. `task_values` are the values
    that earlier tasks of the run have set: {task key: {key: value}}. `dependencies` are the lines of the
    task's environment, as of a requirements file, `spark_conf` the Spark settings of its cluster. A pipeline
    task has its `pipeline`.
    """

    run_id: str
    task_run_id: str
    task_key: str
    attempt: int
    kind: str
    payload: Mapping[str, Any]
    parameters: Mapping[str, str] = field(default_factory=dict)
    task_values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    spark_conf: Mapping[str, str] = field(default_factory=dict)
    pipeline: PipelineSpec | None = None


@dataclass(frozen=True)
class TaskOutcome:
    """The outcome of an attempt; a failed one has its one-line `error` and its `trace`.

    `message` is the last line of output, `logs` the output (its end, if it is long), `result` the argument of
    a notebook's `dbutils.notebook.exit`, `task_values` the values that the task has set.
    """

    message: str = ""
    logs: str = ""
    result: str | None = None
    error: str | None = None
    trace: str | None = None
    canceled: bool = False
    task_values: Mapping[str, Any] = field(default_factory=dict)
    update: UpdateResult | None = None


class TaskRunner(Protocol):
    """Runs tasks. Several threads may call it at once."""

    def execute(
        self, call: TaskCall, on_event: Callable[[Event], None], canceled: threading.Event
    ) -> TaskOutcome:
        """Run one attempt to its end; a task that fails is an outcome, not an exception.

        `on_event` is called for a pipeline's events. Once `canceled` is set, the attempt ends as canceled.
        """

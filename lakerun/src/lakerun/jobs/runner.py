"""Runs a job, its tasks in the order of the graph and independent ones in parallel: `run_job`."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from lakerun.bundles.model import JobSpec, PipelineSpec, TaskSpec
from lakerun.bundles.review import check_supported
from lakerun.dag import DagRun
from lakerun.errors import LakerunError, UnknownNameError
from lakerun.jobs.dynamic_values import substitute, time_values
from lakerun.jobs.results import JobResult, TaskListener, TaskResult, TaskState, TaskUpdate
from lakerun.jobs.run_conditions import job_state, state_before
from lakerun.jobs.task_runs import NestedJobRunner, TaskRun
from lakerun.jobs.tasks import TaskRunner
from lakerun.pipelines.results import Listener

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())  # without a log file, a trace must not reach the console

# Databricks: jobs should not nest more than three run-job tasks.
MAX_DEPTH = 3
POLL_SECONDS = 0.05


class Resources(Protocol):
    """The jobs and pipelines that tasks refer to, by key or id. A `Bundle` is one."""

    @property
    def jobs(self) -> Mapping[str, JobSpec]: ...

    @property
    def pipelines(self) -> Mapping[str, PipelineSpec]: ...


def new_run_id() -> str:
    """A number that is unique among the runs of this machine, as text."""
    return str(uuid.uuid4().int % 10**15)


def run_job(
    job: JobSpec,
    parameters: Mapping[str, str],
    *,
    resources: Resources,
    task_runner: TaskRunner,
    on_task: TaskListener,
    on_event: Listener = lambda event: None,
    canceled: threading.Event | None = None,
    only: Collection[str] = (),
    run_id: str | None = None,
    trigger: str = "onetime",
    workspace: Mapping[str, str] | None = None,
    new_id: Callable[[], str] = new_run_id,
    run_nested_job: NestedJobRunner | None = None,
    callers: tuple[str, ...] = (),
) -> JobResult:
    """Run a job to its end. A failed task is in the result and raises no exception.

    `parameters` override the defaults of the job's parameters. An unknown parameter, or an unknown task in
    `only`, raises UnknownNameError before anything runs, a setting that is refused here BundleError. With
    `only`, no other tasks run, and dependencies on other tasks do not count; `+task` includes its
    dependencies, `task+` its dependents. `task_runner` runs each attempt. `on_task` is called for every
    change of state, also of nested jobs' tasks, `on_event` for the events of pipelines.

    Once `canceled` is set, or after Ctrl-C, running tasks have to stop and the others do not start: the job's
    state is CANCELED. After Ctrl-C, KeyboardInterrupt is raised when the tasks have stopped.

    `trigger` is the value of `{{job.trigger.type}}`, `workspace` has `id` and `url`. `new_id` makes run ids.
    `run_nested_job` runs the job of a run-job task; by default it runs here, in the same way. `callers` are
    the jobs that led to this one: if `job` is among them, or there are more than three, that is an error.
    """
    check_supported(job)
    for name in parameters:
        if name not in job.parameters:
            raise UnknownNameError("job parameter", name, job.parameters)
    if job.key in callers:
        raise LakerunError(f"Jobs run each other in a cycle: {' -> '.join([*callers, job.key])}.")
    if len(callers) > MAX_DEPTH:
        raise LakerunError(f"Jobs nest more than {MAX_DEPTH} deep: {' -> '.join([*callers, job.key])}.")
    stop = threading.Event()
    hear = threading.RLock()

    def heard(update: TaskUpdate) -> None:
        with hear:
            try:
                on_task(update)
            except Exception:  # a listener must not change how a run ends
                logger.exception("a listener failed on task %s", update.key)

    def nested(
        job_id: str, given: Mapping[str, str], task_run_id: str, nested_id: str, stopped: threading.Event
    ) -> JobResult:
        if job_id not in resources.jobs:
            raise UnknownNameError("job", job_id, resources.jobs)
        return run_job(
            resources.jobs[job_id],
            given,
            resources=resources,
            task_runner=task_runner,
            on_task=heard,
            on_event=on_event,
            canceled=stopped,
            run_id=nested_id,
            trigger="run_job_task",
            workspace=workspace,
            new_id=new_id,
            callers=(*callers, job.key),
        )

    started = datetime.now(UTC)
    run_id = run_id or new_id()
    values = _run_values(job, run_id, started, trigger, workspace or {})
    given = {**job.parameters, **parameters}
    for name, value in given.items():
        given[name] = values[f"job.parameters.{name}"] = substitute(value, values)
    run = _Run(
        job=job,
        tasks={task.key: task for task in job.tasks if task.key in _chosen(job, only)},
        canceled=canceled or threading.Event(),
        stop=stop,
        on_task=heard,
        task_run=TaskRun(
            job=job,
            run_id=run_id,
            parameters=given,
            values=values,
            pipelines=resources.pipelines,
            jobs=resources.jobs,
            task_runner=task_runner,
            on_task=heard,
            on_event=on_event,
            stop=stop,
            new_id=new_id,
            run_nested_job=run_nested_job or nested,
        ),
    )
    return run.to_end(run_id)


@dataclass
class _Run:
    """One run of a job: decides when each task starts, and when all tasks have to stop."""

    job: JobSpec
    tasks: dict[str, TaskSpec]
    canceled: threading.Event
    stop: threading.Event
    on_task: TaskListener
    task_run: TaskRun
    timed_out: bool = False

    def __post_init__(self) -> None:
        self._dag = DagRun(
            {key: task.depends_on for key, task in self.tasks.items()},
            end_without_running=self._end_without_running,
            run=self._run_task,
            # A daemon, so that a second Ctrl-C does not wait for tasks.
            submit=lambda work: threading.Thread(target=work, daemon=True).start(),
        )

    def to_end(self, run_id: str) -> JobResult:
        clock = time.monotonic()
        deadline = clock + self.job.timeout_seconds if self.job.timeout_seconds else None
        for key in self.tasks:
            self.on_task(self._update(key, "PENDING"))
        interrupted: KeyboardInterrupt | None = None
        while self._dag.active:
            try:
                if self.canceled.is_set():
                    self.stop.set()
                elif deadline and time.monotonic() > deadline:
                    self.timed_out = True
                    self.stop.set()
                self._dag.step(POLL_SECONDS)
                self.task_run.stop_late_attempts()
            except KeyboardInterrupt as interrupt:
                if interrupted:
                    raise  # second Ctrl-C: do not wait
                interrupted = interrupt
                self.canceled.set()
        if interrupted:
            raise interrupted
        state, error = self._state()
        results = tuple(self._dag.results[key] for key in self.tasks)
        return JobResult(self.job.key, run_id, state, results, time.monotonic() - clock, error)

    def _end_without_running(self, key: str) -> TaskResult | None:
        task = self.tasks[key]
        state: TaskState | None
        if task.disabled:
            state, reason = "DISABLED", "the task is disabled"
        else:
            states = {key: result.state for key, result in self._dag.results.items()}
            state, reason = state_before(task, states, self.task_run.outcomes)
            if self.stop.is_set() and state is None:
                state, reason = "CANCELED", self._stop_reason()
        if state is None:
            return None
        now = datetime.now(UTC)
        self.on_task(replace(self._update(key, state), message=reason, started=now, ended=now))
        return TaskResult(key, state, 0.0, reason, attempts=0)

    def _run_task(self, key: str, before: Mapping[str, TaskResult]) -> TaskResult:
        try:
            return self.task_run.run(self.tasks[key], before)
        except BaseException as error:  # a run must never wait for a task that cannot report
            logger.exception("job %s, task %s could not be run", self.job.key, key)
            return TaskResult(key, "FAILED", 0.0, f"{type(error).__name__}: {error}")

    def _state(self) -> tuple[TaskState, str | None]:
        upstream = {key for task in self.tasks.values() for key in task.depends_on}
        leaves = [result.state for key, result in self._dag.results.items() if key not in upstream]
        others = [result.state for key, result in self._dag.results.items() if key in upstream]
        state = job_state(leaves, others)
        if self.stop.is_set() and state != "SUCCESS":
            return "TIMEDOUT" if self.timed_out else "CANCELED", self._stop_reason()
        return state, None

    def _stop_reason(self) -> str:
        if self.timed_out:
            return f"the run took longer than its timeout of {self.job.timeout_seconds} s"
        return "the run was canceled"

    def _update(self, key: str, state: TaskState) -> TaskUpdate:
        task_run_id = self.task_run.task_run_id(key)
        return TaskUpdate(self.job.key, key, state, run_id=self.task_run.run_id, task_run_id=task_run_id)


def chosen_tasks(job: JobSpec, only: Iterable[str]) -> set[str]:
    """The tasks that `only` selects, or all tasks without it; UnknownNameError for an unknown name."""
    return _chosen(job, only)


def _chosen(job: JobSpec, only: Iterable[str]) -> set[str]:
    upstream = {task.key: set(task.depends_on) for task in job.tasks}
    downstream = {key: {k for k, before in upstream.items() if key in before} for key in upstream}
    chosen: set[str] = set()
    for name in only:
        key = name.removeprefix("+").removesuffix("+")
        if key not in upstream:
            raise UnknownNameError("task", key, upstream)
        chosen.add(key)
        chosen |= _reachable(key, upstream) if name.startswith("+") else set()
        chosen |= _reachable(key, downstream) if name.endswith("+") else set()
    return chosen or set(upstream)


def _reachable(key: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    open_ = [key]
    while open_:
        new = graph[open_.pop()] - found
        found |= new
        open_ += new
    return found


def _run_values(
    job: JobSpec, run_id: str, started: datetime, trigger: str, workspace: Mapping[str, str]
) -> dict[str, object]:
    """The values of a run's references, except those to tasks and parameters."""
    return {
        "job.id": job.key,
        "job.name": job.name,
        "job.run_id": run_id,
        "job.repair_count": "0",
        "job.trigger.type": trigger,
        **time_values("job.start_time", started),
        # Scheduled times are whole minutes.
        **time_values("job.trigger.time", started.replace(second=0, microsecond=0)),
        "workspace.id": workspace.get("id", "0"),
        "workspace.url": workspace.get("url", "local"),
    }

"""Runs one task of a job's run: its attempts, their time limits, and each kind of task."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from lakerun.bundles.model import JobSpec, PipelineSpec, TaskSpec
from lakerun.errors import LakerunError, UnknownNameError, typed_first_line
from lakerun.jobs.dynamic_values import input_values, substitute
from lakerun.jobs.results import JobResult, TaskListener, TaskResult, TaskState, TaskUpdate
from lakerun.jobs.run_conditions import FAILURES, condition_holds
from lakerun.jobs.tasks import TaskCall, TaskOutcome, TaskRunner
from lakerun.pipelines.results import Listener

logger = logging.getLogger(__name__)

NestedJobRunner = Callable[[str, Mapping[str, str], str, str, threading.Event], JobResult]
"""Runs a job for a run-job task. Arguments: job id, parameters, id of the task's run, id for the new run, and
an event that stops it. An error that it raises fails the task."""


@dataclass
class _RunningAttempt:
    """An attempt in progress. `within` is the attempt of the for-each task, for an iteration."""

    stop: threading.Event
    deadline: float | None
    within: _RunningAttempt | None
    timed_out: bool = False


@dataclass
class _TaskInstance:
    """A task, or one iteration of a for-each task; listeners identify it by `key`."""

    task: TaskSpec
    key: str
    values: Mapping[str, Any]
    within: _RunningAttempt | None = None
    parent: str | None = None
    iteration: int | None = None


@dataclass
class _AttemptResult:
    """The result of an attempt; a run-job task's has the result of the job."""

    outcome: TaskOutcome
    job: JobResult | None = None
    nested_run_id: str | None = None


@dataclass
class TaskRun:
    """Runs the tasks of one run of a job, each in its own thread.

    `outcomes` are the results of condition tasks that have ended, "true" or "false".
    """

    job: JobSpec
    run_id: str
    parameters: Mapping[str, str]
    values: Mapping[str, Any]
    pipelines: Mapping[str, PipelineSpec]
    jobs: Mapping[str, JobSpec]
    task_runner: TaskRunner
    on_task: TaskListener
    on_event: Listener
    stop: threading.Event
    new_id: Callable[[], str]
    run_nested_job: NestedJobRunner
    outcomes: dict[str, str] = field(default_factory=dict)
    _task_values: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _ids: dict[tuple[str, int], str] = field(default_factory=dict)
    _attempts: list[_RunningAttempt] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def task_run_id(self, key: str, attempt: int = 0) -> str:
        """The run id of an attempt."""
        with self._lock:
            if (key, attempt) not in self._ids:
                self._ids[key, attempt] = self.new_id()
            return self._ids[key, attempt]

    def run(self, task: TaskSpec, before: Mapping[str, TaskResult]) -> TaskResult:
        """Run a task to its end, including retries; `before` are the tasks that have ended."""
        return self._run(_TaskInstance(task, task.key, {**self.values, **self._values_of(before)}))

    def stop_late_attempts(self) -> None:
        """Stop attempts that have reached their time limit, or whose run has to stop."""
        now = time.monotonic()
        with self._lock:
            for attempt in self._attempts:
                if attempt.deadline and now > attempt.deadline and not attempt.stop.is_set():
                    attempt.timed_out = True
                    attempt.stop.set()
                if self.stop.is_set() or (attempt.within and attempt.within.stop.is_set()):
                    attempt.stop.set()

    def _run(self, instance: _TaskInstance) -> TaskResult:
        task = instance.task
        clock = time.monotonic()
        number = 0
        while True:
            attempt_clock = time.monotonic()
            state, ended = self._attempt(instance, number)
            retries_left = task.max_retries < 0 or number < task.max_retries
            may_retry = state == "FAILED" or (state == "TIMEDOUT" and task.retry_on_timeout)
            stopped = self.stop.is_set() or (instance.within is not None and instance.within.stop.is_set())
            retry = may_retry and retries_left and not stopped and task.kind != "condition"
            self._report_end(instance, number, state, ended, attempt_clock, retry)
            if not retry:
                break
            # The interval is measured between the starts of two attempts.
            self.stop.wait(attempt_clock + task.min_retry_interval_millis / 1000 - time.monotonic())
            if self.stop.is_set():
                break
            number += 1
        outcome = ended.outcome
        error = outcome.error if state != "SUCCESS" else None
        seconds = time.monotonic() - clock
        return TaskResult(task.key, state, seconds, error, outcome.update, ended.job, number + 1)

    def _attempt(self, instance: _TaskInstance, number: int) -> tuple[TaskState, _AttemptResult]:
        task = instance.task
        limit = time.monotonic() + task.timeout_seconds if task.timeout_seconds else None
        attempt = _RunningAttempt(threading.Event(), limit, instance.within)
        started = datetime.now(UTC)
        with self._lock:
            self._attempts.append(attempt)
        try:
            task_run_id = self.task_run_id(instance.key, number)
            update = replace(self._update(instance, number, "RUNNING"), started=started)
            try:
                payload = self._payload(instance, number, task_run_id)
                nested_id = self.new_id() if task.kind == "run_job" else None
                self.on_task(replace(update, payload=payload, nested_run_id=nested_id))
                ended = self._execute(instance, number, attempt, payload, nested_id)
            except Exception as error:
                logger.exception("job %s, task %s failed", self.job.key, instance.key)
                ended = _AttemptResult(TaskOutcome(error=typed_first_line(error)))
        finally:
            with self._lock:
                self._attempts.remove(attempt)
        if instance.iteration is None:
            self._task_values[task.key] = {**self._task_values.get(task.key, {}), **ended.outcome.task_values}
        return self._final_state(task, attempt, ended)

    def _final_state(
        self, task: TaskSpec, attempt: _RunningAttempt, ended: _AttemptResult
    ) -> tuple[TaskState, _AttemptResult]:
        outcome = ended.outcome
        if outcome.error is None and not outcome.canceled:
            return "SUCCESS", ended
        if attempt.timed_out:
            reason = f"the task took longer than its timeout of {task.timeout_seconds} s"
            return "TIMEDOUT", replace(ended, outcome=replace(outcome, error=reason))
        if outcome.canceled or attempt.stop.is_set():
            return "CANCELED", replace(ended, outcome=replace(outcome, error=outcome.error or "canceled"))
        return "FAILED", ended

    def _execute(
        self,
        instance: _TaskInstance,
        number: int,
        attempt: _RunningAttempt,
        payload: Mapping[str, Any],
        nested_id: str | None,
    ) -> _AttemptResult:
        task = instance.task
        task_run_id = self.task_run_id(instance.key, number)
        match task.kind:
            case "condition":
                holds = condition_holds(payload["op"], payload["left"], payload["right"])
                self.outcomes[task.key] = "true" if holds else "false"
                text = f"{payload['left']} {payload['op']} {payload['right']}: {self.outcomes[task.key]}"
                return _AttemptResult(TaskOutcome(message=text, result=self.outcomes[task.key]))
            case "run_job":
                return self._nested(payload, task_run_id, str(nested_id), attempt)
            case "for_each":
                return self._iterate(instance, payload, attempt)
        pipeline = None
        if task.kind == "pipeline":
            if payload["pipeline_id"] not in self.pipelines:
                raise UnknownNameError("pipeline", payload["pipeline_id"], self.pipelines)
            pipeline = self.pipelines[payload["pipeline_id"]]
        call = TaskCall(
            run_id=self.run_id,
            task_run_id=task_run_id,
            task_key=instance.key,
            attempt=number,
            kind=task.kind,
            payload=payload,
            parameters=self.parameters,
            task_values=dict(self._task_values),
            dependencies=pipeline.dependencies if pipeline else task.dependencies,
            spark_conf=task.spark_conf,
            pipeline=pipeline,
        )
        return _AttemptResult(self.task_runner.execute(call, self.on_event, attempt.stop))

    def _nested(
        self, payload: Mapping[str, Any], task_run_id: str, nested_id: str, attempt: _RunningAttempt
    ) -> _AttemptResult:
        parameters = payload.get("job_parameters") or {}
        result = self.run_nested_job(payload["job_id"], parameters, task_run_id, nested_id, attempt.stop)
        error = None
        if result.state not in ("SUCCESS", "SUCCESS_WITH_FAILURES"):
            failed = next((task for task in result.tasks if task.state in FAILURES), None)
            error = f"{result.job}.{failed.key}: {failed.error}" if failed else result.error
            error = error or f"job {result.job} ended as {result.state}"
        outcome = TaskOutcome(error=error, canceled=result.state == "CANCELED")
        return _AttemptResult(outcome, result, nested_id)

    def _iterate(
        self, instance: _TaskInstance, payload: Mapping[str, Any], attempt: _RunningAttempt
    ) -> _AttemptResult:
        """Run a for-each task's task once for each input; a failed iteration does not stop the others."""
        each = instance.task.each
        assert each is not None
        items = _inputs(payload["inputs"])
        instances = [
            _TaskInstance(
                each,
                f"{instance.key}[{number}]",
                {**instance.values, **input_values(item)},
                within=attempt,
                parent=instance.key,
                iteration=number,
            )
            for number, item in enumerate(items)
        ]

        def run(one: _TaskInstance) -> TaskResult | None:
            return None if attempt.stop.is_set() else self._run(one)

        with ThreadPoolExecutor(max_workers=payload["concurrency"]) as pool:
            results = list(pool.map(run, instances))
        done = [result for result in results if result]
        failed = [n for n, result in enumerate(results) if result and result.state in FAILURES]
        message = f"{len(done) - len(failed)} of {len(items)} iterations succeeded"
        if failed or len(done) < len(items):
            first = next((r.error for r in done if r.state in FAILURES), "stopped")
            where = f": iteration {failed[0]}: {first}" if failed else ""
            return _AttemptResult(TaskOutcome(message=message, error=message + where))
        return _AttemptResult(TaskOutcome(message=message))

    def _payload(self, instance: _TaskInstance, number: int, task_run_id: str) -> dict[str, Any]:
        """The task's settings, with references replaced and job parameters added.

        Databricks passes job parameters to tasks with named parameters, where they override the task's own.
        """
        task = instance.task
        values = {
            **instance.values,
            "task.name": instance.key,
            "task.run_id": task_run_id,
            "task.execution_count": str(number + 1),
            "task.retry_count": str(number),
            "task.notebook_path": str(task.payload.get("notebook_path", "")),
        }
        scalars_only = task.kind == "condition"
        payload: dict[str, Any] = substitute(task.payload, values, scalars_only=scalars_only)
        if task.kind == "notebook":
            payload["base_parameters"] = {**(payload.get("base_parameters") or {}), **self.parameters}
        elif task.kind == "python_wheel" and payload.get("named_parameters"):
            payload["named_parameters"] = {**payload["named_parameters"], **self.parameters}
        elif task.kind == "run_job" and payload["job_id"] in self.jobs:
            known = self.jobs[payload["job_id"]].parameters
            pushed = {name: value for name, value in self.parameters.items() if name in known}
            payload["job_parameters"] = {**(payload.get("job_parameters") or {}), **pushed}
        return payload

    def _values_of(self, before: Mapping[str, TaskResult]) -> dict[str, Any]:
        """The values of references to other tasks."""
        values: dict[str, Any] = {}
        payloads = {task.key: task.payload for task in self.job.tasks}
        for key, result in before.items():
            values |= {
                f"tasks.{key}.run_id": self.task_run_id(key, max(0, result.attempts - 1)),
                f"tasks.{key}.result_state": result.state.lower(),
                f"tasks.{key}.error_code": "" if result.state not in FAILURES else "RunExecutionError",
                f"tasks.{key}.execution_count": str(result.attempts),
                f"tasks.{key}.notebook_path": str(payloads[key].get("notebook_path", "")),
            }
            if key in self.outcomes:
                values[f"tasks.{key}.outcome"] = self.outcomes[key]
            found = self._task_values.get(key, {})
            values |= {f"tasks.{key}.values.{name}": value for name, value in found.items()}
        return values

    def _report_end(
        self,
        instance: _TaskInstance,
        number: int,
        state: TaskState,
        ended: _AttemptResult,
        clock: float,
        retry: bool,
    ) -> None:
        seconds = time.monotonic() - clock
        now = datetime.now(UTC)
        outcome = ended.outcome
        self.on_task(
            replace(
                self._update(instance, number, state),
                seconds=seconds,
                message=(outcome.message if state == "SUCCESS" else outcome.error) or "",
                started=datetime.fromtimestamp(now.timestamp() - seconds, UTC),
                ended=now,
                outcome=outcome,
                will_retry=retry,
                nested_run_id=ended.nested_run_id,
            )
        )

    def _update(self, instance: _TaskInstance, number: int, state: TaskState) -> TaskUpdate:
        return TaskUpdate(
            self.job.key,
            instance.key,
            state,
            run_id=self.run_id,
            task_run_id=self.task_run_id(instance.key, number),
            attempt=number,
            parent=instance.parent,
            iteration=instance.iteration,
        )


def _inputs(text: str) -> Sequence[Any]:
    try:
        items = json.loads(text)
    except json.JSONDecodeError:
        items = None
    if not isinstance(items, list):
        raise LakerunError(f"for_each_task.inputs: a JSON array is expected, not '{text[:100]}'.")
    return items

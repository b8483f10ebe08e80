"""Runs a job of the bundle on a laptop: `run_job`."""

from __future__ import annotations

import io
import logging
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ecommerce_lakehouse.config import ConfigError
from ecommerce_lakehouse.engine.bundle_model import Bundle, JobSpec, PipelineSpec, TaskSpec
from ecommerce_lakehouse.engine.errors import LakehouseError, UnknownNameError
from ecommerce_lakehouse.engine.results import (
    JobResult,
    TaskListener,
    TaskResult,
    TaskState,
    TaskUpdate,
    UpdateResult,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())  # without a log file to go to, a trace must not reach the console

RunPipeline = Callable[[PipelineSpec, bool], UpdateResult]
"""Runs one update of a pipeline; the flag asks for a full refresh."""

DYNAMIC_VALUE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


def run_job(
    bundle: Bundle,
    job: JobSpec,
    parameters: Mapping[str, str],
    *,
    run_pipeline: RunPipeline,
    on_task: TaskListener,
    get_session: Callable[[], SparkSession],
) -> JobResult:
    """Run the tasks of a job one after another, each after those that it depends on.

    A wheel's console script runs in this process, on the session that `get_session` gives; what it prints
    goes to the log. `parameters` override the defaults of the job's parameters; a name that the job does
    not have raises UnknownNameError before anything runs. A task whose upstream did not succeed is SKIPPED,
    and a task that fails leaves its one-line reason in its result and its trace in the log: neither raises.
    `on_task` hears of every change of state, those of a nested job's tasks included.
    """
    for name in parameters:
        if name not in job.parameters:
            raise UnknownNameError("job parameter", name, job.parameters)
    run = _Run(bundle, job, run_pipeline, on_task, get_session)
    return run.all_tasks({**job.parameters, **parameters})


@dataclass
class _Outcome:
    """What a task leaves behind: its last line of output, an update or a job's result, and why it failed."""

    message: str = ""
    update: UpdateResult | None = None
    job: JobResult | None = None
    error: str | None = None


@dataclass
class _Run:
    bundle: Bundle
    job: JobSpec
    run_pipeline: RunPipeline
    on_task: TaskListener
    get_session: Callable[[], SparkSession]
    run_id: str = field(default_factory=lambda: str(uuid.uuid4().int % 10**15))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    values: dict[str, str] = field(default_factory=dict)

    def all_tasks(self, parameters: Mapping[str, str]) -> JobResult:
        clock = time.monotonic()
        self.values = _run_values(self.job, self.run_id, self.started)
        for name, value in parameters.items():
            self.values[f"job.parameters.{name}"] = _substitute(value, self.values)
        tasks = {task.key: task for task in self.job.tasks}
        order = TopologicalSorter({key: task.depends_on for key, task in tasks.items()}).static_order()
        for key in tasks:
            self.on_task(TaskUpdate(self.job.key, key, "PENDING"))
        results: dict[str, TaskResult] = {}
        for key in order:
            results[key] = self._task(tasks[key], results)
        state: TaskState = "SUCCESS" if all(r.state == "SUCCESS" for r in results.values()) else "FAILED"
        return JobResult(self.job.key, self.run_id, state, tuple(results.values()), time.monotonic() - clock)

    def _task(self, task: TaskSpec, results: Mapping[str, TaskResult]) -> TaskResult:
        blocking = [key for key in task.depends_on if results[key].state != "SUCCESS"]
        if blocking and task.run_if == "ALL_SUCCESS":
            reason = f"task '{blocking[0]}' did not succeed"
            self.on_task(TaskUpdate(self.job.key, task.key, "SKIPPED", message=reason))
            return TaskResult(task.key, "SKIPPED", 0.0, reason)
        self.on_task(TaskUpdate(self.job.key, task.key, "RUNNING"))
        clock = time.monotonic()
        try:
            outcome = self._execute(task)
        except Exception as error:
            logger.exception("job %s, task %s failed", self.job.key, task.key)
            outcome = _Outcome(error=_one_line(error))
        seconds = time.monotonic() - clock
        state: TaskState = "FAILED" if outcome.error else "SUCCESS"
        message = outcome.error or outcome.message
        self.on_task(TaskUpdate(self.job.key, task.key, state, seconds, message))
        return TaskResult(task.key, state, seconds, outcome.error, outcome.update, outcome.job)

    def _execute(self, task: TaskSpec) -> _Outcome:
        if task.run_if != "ALL_SUCCESS":
            raise LakehouseError(f"run_if {task.run_if} is not run on a laptop yet.")
        payload = _substitute(task.payload, self.values | {"task.name": task.key, "task.run_id": self.run_id})
        match task.kind:
            case "python_wheel":
                return self._python_wheel(payload)
            case "pipeline":
                return self._pipeline(payload)
            case "run_job":
                return self._nested_job(payload)
        raise LakehouseError(f"A {task.kind}_task is not run on a laptop yet.")

    def _python_wheel(self, payload: Mapping[str, Any]) -> _Outcome:
        name = payload["entry_point"]
        function = _entry_point(payload["package_name"], name)
        named = payload.get("named_parameters") or {}
        arguments = [f"--{key}={value}" for key, value in named.items()]
        arguments += [str(value) for value in payload.get("parameters") or []]
        self.get_session()  # the wheel's code finds it as the active session
        with _captured(name) as output, _argv([name, *arguments]):
            try:
                function()
            except SystemExit as exit_:
                return _Outcome(output.last_line, error=_exit_error(exit_, output.last_line))
        return _Outcome(output.last_line)

    def _pipeline(self, payload: Mapping[str, Any]) -> _Outcome:
        _refuse_others(payload, "pipeline_task", {"pipeline_id", "full_refresh"})
        full_refresh = payload.get("full_refresh") in (True, "true")
        update = self.run_pipeline(self.bundle.pipelines[payload["pipeline_id"]], full_refresh)
        if update.state == "COMPLETED":
            return _Outcome(update=update)
        return _Outcome(update=update, error=update.error or f"the update ended as {update.state}")

    def _nested_job(self, payload: Mapping[str, Any]) -> _Outcome:
        _refuse_others(payload, "run_job_task", {"job_id", "job_parameters"})
        result = run_job(
            self.bundle,
            self.bundle.jobs[payload["job_id"]],
            payload.get("job_parameters") or {},
            run_pipeline=self.run_pipeline,
            on_task=self.on_task,
            get_session=self.get_session,
        )
        failed = next((task for task in result.tasks if task.state == "FAILED"), None)
        error = f"{result.job}.{failed.key}: {failed.error}" if failed else None
        return _Outcome(job=result, error=error)


class _Output(io.TextIOBase):
    """Text that code writes, sent to the log line by line; `last_line` is the last that was not empty."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._rest = ""
        self.last_line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._log(line)
        return len(text)

    def finish(self) -> None:
        """Log what does not end in a newline."""
        self._log(self._rest)
        self._rest = ""

    def _log(self, line: str) -> None:
        if line.strip():
            self.last_line = line.strip()
            logger.info("%s: %s", self._source, line)


@contextmanager
def _captured(source: str) -> Iterator[_Output]:
    output = _Output(source)
    with redirect_stdout(output), redirect_stderr(output):
        try:
            yield output
        finally:
            output.finish()


@contextmanager
def _argv(arguments: list[str]) -> Iterator[None]:
    saved = sys.argv
    sys.argv = arguments
    try:
        yield
    finally:
        sys.argv = saved


def _entry_point(package: str, name: str) -> Callable[[], object]:
    try:
        scripts = metadata.distribution(package).entry_points.select(group="console_scripts")
    except metadata.PackageNotFoundError:
        raise LakehouseError(f"Package '{package}' is not installed; 'uv sync' installs this one.") from None
    if name not in scripts.names:
        raise UnknownNameError(f"entry point of {package}", name, scripts.names)
    function: Callable[[], object] = scripts[name].load()
    return function


def _exit_error(exit_: SystemExit, last_line: str) -> str | None:
    """Why an exit is a failure; None for `sys.exit()` and `sys.exit(0)`."""
    if exit_.code is None or exit_.code == 0:
        return None
    if isinstance(exit_.code, str):
        return exit_.code.strip().split("\n")[0]
    return f"exit code {exit_.code}" + (f": {last_line}" if last_line else "")


def _run_values(job: JobSpec, run_id: str, started: datetime) -> dict[str, str]:
    """The dynamic values of a run, times in UTC."""
    return {
        "job.id": job.key,
        "job.name": job.name,
        "job.run_id": run_id,
        "job.start_time.iso_date": started.strftime("%Y-%m-%d"),
        "job.start_time.iso_datetime": started.strftime("%Y-%m-%dT%H:%M:%S"),
        "job.start_time.timestamp_ms": str(int(started.timestamp() * 1000)),
        "job.start_time.year": str(started.year),
        "job.start_time.month": str(started.month),
        "job.start_time.day": str(started.day),
        "job.start_time.hour": str(started.hour),
        "job.start_time.minute": str(started.minute),
        "job.start_time.second": str(started.second),
    }


def _substitute(value: Any, values: Mapping[str, str]) -> Any:
    """`value` with every `{{name}}` replaced, in nested mappings and lists too."""
    if isinstance(value, str):
        return DYNAMIC_VALUE.sub(lambda found: _dynamic_value(found[1], values), value)
    if isinstance(value, Mapping):
        return {key: _substitute(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, values) for item in value]
    return value


def _dynamic_value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise UnknownNameError("dynamic value", f"{{{{{name}}}}}", (f"{{{{{key}}}}}" for key in values))
    return values[name]


def _refuse_others(payload: Mapping[str, Any], kind: str, known: set[str]) -> None:
    for key in payload.keys() - known:
        if payload[key]:
            raise LakehouseError(f"'{key}' of a {kind} is not supported on a laptop yet.")


def _one_line(error: Exception) -> str:
    """An error's first line, after its type unless the message is meant for users."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    if isinstance(error, (LakehouseError, ConfigError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

"""A run's tasks for its page: their attempts with output, and the updates and runs that they started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakerun.formats import between, duration
from lakerun.pipelines.progress import DatasetProgress
from lakerun.workspace.pages.datasets import dataset_drawing, datasets_of
from lakerun.workspace.pages.drawing import Box, Drawing, draw
from lakerun.workspace.pages.states import State, message_of, run_state
from lakerun.workspace.services.jobs.run_documents import is_active

if TYPE_CHECKING:
    from lakerun.workspace.store import Store

Json = Mapping[str, Any]
KINDS = {
    "python_wheel_task": "Python wheel",
    "spark_python_task": "Python file",
    "notebook_task": "Notebook",
    "pipeline_task": "Pipeline",
    "condition_task": "Condition",
    "run_job_task": "Job",
    "for_each_task": "For each",
    "sql_task": "SQL",
    "dbt_task": "dbt",
}
OPERATORS = {
    "EQUAL_TO": "=",
    "NOT_EQUAL": "\N{NOT EQUAL TO}",
    "GREATER_THAN": ">",
    "GREATER_THAN_OR_EQUAL": "\N{GREATER-THAN OR EQUAL TO}",
    "LESS_THAN": "<",
    "LESS_THAN_OR_EQUAL": "\N{LESS-THAN OR EQUAL TO}",
}
LONGEST_LOG = 64_000
RECENT_UPDATES = 50


@dataclass
class Attempt:
    """One attempt at a task with its log (the end of a long one), result, error and trace."""

    run_id: int
    number: int
    state: State
    start: Any
    seconds: float | None
    message: str
    logs: str = ""
    is_cut: bool = False
    result: str = ""
    error: str = ""
    trace: str = ""
    nested_run: Json | None = None

    @property
    def has_output(self) -> bool:
        return bool(self.logs or self.error or self.trace or self.result)


@dataclass
class Task:
    """A task with its attempts, the last one first; `details` are lines of a definition list.

    `iterations` are those of a for-each task.
    """

    key: str
    kind: str
    attempts: list[Attempt]
    depends_on: list[str]
    details: list[tuple[str, str]]
    over: bool
    iterations: list[Attempt]
    update: Json | None = None
    datasets: dict[str, DatasetProgress] = field(default_factory=dict)

    @property
    def last(self) -> Attempt:
        return self.attempts[0]

    @property
    def anchor(self) -> str:
        return f"task-{self.key}"

    @property
    def graph(self) -> Drawing | None:
        return dataset_drawing(self.datasets)


def tasks_of(run: Json, store: Store) -> list[Task]:
    """The run's tasks in the job's order. Each attempt has its own entry in the run."""
    by_key: dict[str, list[Json]] = {}
    for entry in run.get("tasks", ()):
        by_key.setdefault(entry["task_key"], []).append(entry)
    return [_task(run, entries, store) for entries in by_key.values()]


def task_drawing(run: Json, tasks: Iterable[Task]) -> Drawing:
    boxes = [
        Box(
            key=task.key,
            name=task.key,
            state=task.last.state,
            caption=duration(task.last.seconds) if task.last.seconds is not None else task.kind,
            warning=f"attempt {task.last.number + 1}" if task.last.number else "",
            href=f"#{task.anchor}",
            title=f"{task.key}, {task.kind}, {task.last.state.word}",
        )
        for task in tasks
    ]
    return draw(boxes, _edges(run.get("tasks", ())))


def settings_drawing(settings: Json) -> Drawing:
    """The tasks of a job, without the state of a run."""
    tasks = settings.get("tasks", [])
    boxes = [
        Box(
            task["task_key"],
            task["task_key"],
            caption=kind_of(task),
            title=f"{task['task_key']}, {kind_of(task)}",
        )
        for task in tasks
    ]
    return draw(boxes, _edges(tasks))


def kind_of(task: Json) -> str:
    return next((word for key, word in KINDS.items() if key in task), "Task")


def _edges(tasks: Iterable[Json]) -> list[tuple[str, str]]:
    return [(up["task_key"], task["task_key"]) for task in tasks for up in task.get("depends_on", ())]


def _task(run: Json, entries: list[Json], store: Store) -> Task:
    entries = sorted(entries, key=lambda each: each.get("attempt_number", 0), reverse=True)
    last = entries[0]
    task = Task(
        key=last["task_key"],
        kind=kind_of(last),
        attempts=[_attempt(entry, store) for entry in entries],
        depends_on=[up["task_key"] for up in last.get("depends_on", ())],
        details=_details(last),
        over=not is_active(last),
        iterations=[_attempt(entry, store) for entry in last.get("iterations", ())],
        update=_update(last, store),
    )
    if task.update:
        events = store.list("event", task.update["update_id"])
        task.datasets = datasets_of(task.update, events)
    return task


def _attempt(entry: Json, store: Store) -> Attempt:
    output = store.get("task_output", entry["run_id"]) or {}
    logs = output.get("logs") or ""
    nested = (entry.get("run_job_task") or output.get("run_job_output") or {}).get("run_id")
    # An empty result is still a result.
    result = (output.get("notebook_output") or {}).get("result")
    return Attempt(
        run_id=entry["run_id"],
        number=entry.get("attempt_number", 0),
        state=run_state(entry),
        start=entry.get("start_time"),
        seconds=between(entry.get("start_time"), entry.get("end_time")),
        message=message_of(entry),
        logs=logs[-LONGEST_LOG:],
        is_cut=len(logs) > LONGEST_LOG or bool(output.get("logs_truncated")),
        result=result or "",
        error=output.get("error") or "",
        trace=output.get("error_trace") or "",
        nested_run=store.get("run", nested) if nested else None,
    )


def _update(entry: Json, store: Store) -> Json | None:
    """The update that this attempt of a pipeline task started."""
    pipeline = (entry.get("pipeline_task") or {}).get("pipeline_id")
    if not pipeline:
        return None
    updates = store.list("update", pipeline, newest_first=True, limit=RECENT_UPDATES)
    return next((each for each in updates if each.get("task_run_id") == entry["run_id"]), None)


def _details(task: Json) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if condition := task.get("condition_task"):
        operator = OPERATORS.get(condition.get("op", ""), condition.get("op", ""))
        found.append(("Condition", f"{condition.get('left', '')} {operator} {condition.get('right', '')}"))
        if "outcome" in condition:
            found.append(("Outcome", str(condition["outcome"])))
    wheel = task.get("python_wheel_task") or {}
    if wheel:
        found.append(("Entry point", f"{wheel.get('package_name', '')}: {wheel.get('entry_point', '')}"))
    for kind, field_name, word in (
        ("spark_python_task", "python_file", "File"),
        ("notebook_task", "notebook_path", "Notebook"),
    ):
        if value := (task.get(kind) or {}).get(field_name):
            found.append((word, value))
    given = wheel or task.get("spark_python_task") or {}
    if given.get("parameters"):
        found.append(("Parameters", " ".join(map(str, given["parameters"]))))
    named = {
        **wheel.get("named_parameters", {}),
        **(task.get("notebook_task") or {}).get("base_parameters", {}),
        **(task.get("run_job_task") or {}).get("job_parameters", {}),
    }
    found += [(f"Parameter {name}", str(value)) for name, value in named.items()]
    if task.get("run_if", "ALL_SUCCESS") != "ALL_SUCCESS":
        found.append(("Runs if", task["run_if"].replace("_", " ").lower()))
    return found

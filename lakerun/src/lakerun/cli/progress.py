"""What is seen while a run goes on: a live view on a terminal, a line per finished dataset elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from rich.markup import escape

from lakerun.cli.output import new_table, plural
from lakerun.jobs.results import TaskUpdate
from lakerun.pipelines.results import Event

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

UNFINISHED = ("QUEUED", "STARTING", "RUNNING")
STYLES = {
    "QUEUED": "dim",
    "PENDING": "dim",
    "SKIPPED": "dim",
    "STOPPED": "dim",
    "STARTING": "cyan",
    "RUNNING": "cyan",
    "COMPLETED": "green",
    "SUCCESS": "green",
    "FAILED": "bold red",
    "CANCELED": "bold red",
    "TIMEDOUT": "bold red",
    "EXCLUDED": "dim",
    "DISABLED": "dim",
    "UPSTREAM_FAILED": "dim",
    "UPSTREAM_CANCELED": "dim",
}


class Progress(Protocol):
    """Hears what happens during a run, from any thread."""

    def on_event(self, event: Event) -> None: ...

    def on_task(self, update: TaskUpdate) -> None: ...

    def say(self, message: str) -> None:
        """A step that is neither a task nor an event."""


@dataclass
class _Dataset:
    """What the events so far say of one dataset. `flows` holds each flow's last status."""

    name: str
    flows: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    dropped: int = 0
    started: float | None = None
    ended: float | None = None

    @property
    def status(self) -> str:
        statuses = set(self.flows.values())
        for status in ("FAILED", "RUNNING", "STARTING"):
            if status in statuses:
                return status
        if "QUEUED" in statuses or not statuses:
            return "QUEUED" if self.started is None else "RUNNING"
        return "COMPLETED" if "COMPLETED" in statuses else min(statuses)

    @property
    def seconds(self) -> float:
        if self.started is None:
            return 0.0
        return (self.ended or time.monotonic()) - self.started


class RunState:
    """The state of a run, put together from its events."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.message = ""
        self.tasks: dict[tuple[str, str], TaskUpdate] = {}
        self.task_started: dict[tuple[str, str], float] = {}
        self.pipelines: dict[str, dict[str, _Dataset]] = {}

    def task(self, update: TaskUpdate) -> None:
        with self._lock:
            key = (update.job, update.key)
            self.tasks[key] = update
            if update.state == "RUNNING":
                self.task_started[key] = time.monotonic()
            self.message = ""

    def event(self, event: Event) -> _Dataset | None:
        """Take in an event; the dataset that it finished, if it did."""
        with self._lock:
            self.message = ""
            dataset = self._dataset(event)
            progress = event.details.get("flow_progress")
            if dataset is None or event.event_type not in ("flow_definition", "flow_progress"):
                return None
            flow = event.origin.get("flow_name") or dataset.name
            if not progress:
                dataset.flows.setdefault(flow, "QUEUED")
                return None
            return dataset if _advance(dataset, flow, progress) else None

    def _dataset(self, event: Event) -> _Dataset | None:
        datasets = self.pipelines.setdefault(event.origin.get("pipeline_name", ""), {})
        name = event.origin.get("dataset_name")
        return datasets.setdefault(name, _Dataset(name)) if name else None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the state still."""
        with self._lock:
            yield


def _advance(dataset: _Dataset, flow: str, progress: dict[str, object]) -> bool:
    """Apply one flow_progress; whether it was the last that the dataset waited for."""
    was_finished = dataset.ended is not None
    status = str(progress.get("status") or dataset.flows.get(flow, "RUNNING"))
    dataset.flows[flow] = status
    metrics, quality = progress.get("metrics"), progress.get("data_quality")
    dataset.rows += _number(metrics, "num_output_rows")
    dataset.dropped += _number(quality, "dropped_records")
    if dataset.started is None and status in ("STARTING", "RUNNING"):
        dataset.started = time.monotonic()
    if dataset.status in UNFINISHED:
        dataset.ended = None
        return False
    dataset.ended = dataset.ended or time.monotonic()
    return not was_finished


def _number(values: object, name: str) -> int:
    value = values.get(name) if isinstance(values, dict) else None
    return value if isinstance(value, int) else 0


class Silent:
    """Shows nothing: for --json."""

    def on_event(self, event: Event) -> None:
        pass

    def on_task(self, update: TaskUpdate) -> None:
        pass

    def say(self, message: str) -> None:
        pass


class Plain:
    """A line for every task and every dataset that is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = RunState()

    def say(self, message: str) -> None:
        self._console.print(escape(message))

    def on_task(self, update: TaskUpdate) -> None:
        self._state.task(update)
        if update.state == "PENDING":
            return
        after = f" in {update.seconds:.1f} s" if update.seconds else ""
        message = f": {update.message}" if update.message else ""
        self._console.print(escape(f"task {update.job}.{update.key} {update.state}{after}{message}"))

    def on_event(self, event: Event) -> None:
        dataset = self._state.event(event)
        if dataset is None or dataset.status == "SKIPPED":
            return
        if dataset.status == "STOPPED" and dataset.started is None:
            return  # a canceled update has one for all that it did not come to
        dropped = f", {dataset.dropped:,} dropped" if dataset.dropped else ""
        rows = plural(dataset.rows, "row")
        self._console.print(
            escape(f"  {short_name(dataset.name)} {dataset.status} {rows}{dropped} {dataset.seconds:.1f} s")
        )


class LiveView:
    """Tasks and datasets, redrawn several times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = RunState()

    def say(self, message: str) -> None:
        self._state.message = message

    def on_task(self, update: TaskUpdate) -> None:
        self._state.task(update)

    def on_event(self, event: Event) -> None:
        self._state.event(event)

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.spinner import Spinner

        with self._state.reading():
            parts: list[RenderableType] = []
            if self._state.tasks:
                parts.append(self._tasks())
            parts += [self._datasets(name, found) for name, found in self._state.pipelines.items() if found]
            if self._state.message:
                parts.append(Spinner("line", escape(self._state.message)))
            return Group(*parts)

    def _tasks(self) -> RenderableType:
        table = new_table("Task", "State", "Seconds", right=("Seconds",))
        for key, update in self._state.tasks.items():
            seconds = update.seconds
            if update.state == "RUNNING":
                seconds = time.monotonic() - self._state.task_started[key]
            shown = f"{seconds:.1f}" if seconds else ""
            table.add_row(escape(f"{update.job}.{update.key}"), _styled(update.state), shown)
        return table

    def _datasets(self, pipeline: str, found: dict[str, _Dataset]) -> RenderableType:
        done = sum(dataset.status not in UNFINISHED for dataset in found.values())
        table = new_table(
            f"{pipeline} ({done} of {len(found)})", "State", "Rows", "Seconds", right=("Rows", "Seconds")
        )
        for dataset in self._worth_showing(list(found.values())):
            seconds = f"{dataset.seconds:.1f}" if dataset.seconds else ""
            rows = f"{dataset.rows:,}" if dataset.rows else ""
            table.add_row(escape(short_name(dataset.name)), _styled(dataset.status), rows, seconds)
        return table

    def _worth_showing(self, datasets: list[_Dataset]) -> list[_Dataset]:
        """All datasets while they fit on the screen; else what goes on or went wrong."""
        room = self._console.height - 2 * len(self._state.pipelines) - len(self._state.tasks) - 6
        if sum(len(found) for found in self._state.pipelines.values()) <= room:
            return datasets
        return [d for d in datasets if d.status in ("STARTING", "RUNNING", "FAILED")][: max(1, room)]


def short_name(table: str) -> str:
    """The last part of a table's full name."""
    return table.rsplit(".", 1)[-1]


def _styled(status: str) -> str:
    style = STYLES.get(status, "")
    return f"[{style}]{status}[/]" if style else status


@contextmanager
def progress_on(console: Console, silent: bool) -> Iterator[Progress]:
    """Live on a terminal, a line per event elsewhere, nothing where only JSON may go."""
    if silent:
        yield Silent()
    elif not console.is_terminal:
        yield Plain(console)
    else:
        from rich.live import Live

        view = LiveView(console)
        live = Live(
            view,
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with live:
            yield view

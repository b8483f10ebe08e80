"""Output while a run goes on: a live view on a terminal, elsewhere a line for each finished dataset."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.markup import escape

from lakerun.cli.output import new_table
from lakerun.formats import plural
from lakerun.jobs.results import TaskUpdate
from lakerun.pipelines.progress import DatasetProgress, UpdateProgress
from lakerun.pipelines.results import Event

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

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
    """Receives what happens during a run, from any thread."""

    def on_event(self, event: Event) -> None: ...

    def on_task(self, update: TaskUpdate) -> None: ...

    def say(self, message: str) -> None:
        """A step that is neither a task nor an event."""


class RunState:
    """The state of a run so far, from its events."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.message = ""
        self.tasks: dict[tuple[str, str], TaskUpdate] = {}
        self.task_started: dict[tuple[str, str], float] = {}
        self.pipelines: dict[str, UpdateProgress] = {}

    def task(self, update: TaskUpdate) -> None:
        with self._lock:
            key = (update.job, update.key)
            self.tasks[key] = update
            if update.state == "RUNNING":
                self.task_started[key] = time.monotonic()
            self.message = ""

    def event(self, event: Event) -> DatasetProgress | None:
        """Add an event; returns the dataset that it ended, if it did."""
        with self._lock:
            self.message = ""
            pipeline = event.origin.get("pipeline_name", "")
            if pipeline not in self.pipelines or event.event_type == "create_update":
                self.pipelines[pipeline] = UpdateProgress()
            return self.pipelines[pipeline].add(
                event.event_type, event.timestamp, event.origin, event.details, event.message
            )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the state unchanged while it is read."""
        with self._lock:
            yield


class Silent:
    """Shows nothing: for --json."""

    def on_event(self, event: Event) -> None:
        pass

    def on_task(self, update: TaskUpdate) -> None:
        pass

    def say(self, message: str) -> None:
        pass


class Plain:
    """A line for every finished task and dataset."""

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
            return  # a canceled update reports every dataset that it did not reach
        dropped = f", {dataset.dropped:,} dropped" if dataset.dropped else ""
        rows = plural(dataset.rows or 0, "row")
        self._console.print(
            escape(f"  {dataset.table} {dataset.status} {rows}{dropped} {dataset.seconds or 0:.1f} s")
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
            parts += [self._datasets(name, found) for name, found in self._shown().items() if found]
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

    def _shown(self) -> dict[str, list[DatasetProgress]]:
        """The datasets of each pipeline that its update is to run."""
        return {
            name: [dataset for dataset in update.datasets.values() if dataset.status]
            for name, update in self._state.pipelines.items()
        }

    def _datasets(self, pipeline: str, found: list[DatasetProgress]) -> RenderableType:
        done = sum(dataset.is_over for dataset in found)
        table = new_table(
            f"{pipeline} ({done} of {len(found)})", "State", "Rows", "Seconds", right=("Rows", "Seconds")
        )
        for dataset in self._worth_showing(found):
            seconds = f"{dataset.seconds:.1f}" if dataset.seconds else ""
            rows = f"{dataset.rows:,}" if dataset.rows else ""
            table.add_row(escape(dataset.table), _styled(dataset.status or ""), rows, seconds)
        return table

    def _worth_showing(self, datasets: list[DatasetProgress]) -> list[DatasetProgress]:
        """All datasets if they fit on the screen, else those that run or failed."""
        room = self._console.height - 2 * len(self._state.pipelines) - len(self._state.tasks) - 6
        if sum(map(len, self._shown().values())) <= room:
            return datasets
        return [d for d in datasets if d.status in ("STARTING", "RUNNING", "FAILED")][: max(1, room)]


def _styled(status: str) -> str:
    style = STYLES.get(status, "")
    return f"[{style}]{status}[/]" if style else status


@contextmanager
def progress_on(console: Console, silent: bool) -> Iterator[Progress]:
    """A live view on a terminal, lines elsewhere, nothing if `silent`, so that the output is only JSON."""
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

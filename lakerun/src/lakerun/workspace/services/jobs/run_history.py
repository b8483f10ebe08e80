"""Reads runs for clients: one run, a page of runs, a task's output: `RunHistory`."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from lakerun.workspace.errors import invalid
from lakerun.workspace.paging import checked_size, number_in, part, reader
from lakerun.workspace.services.jobs.run_documents import is_active
from lakerun.workspace.store import Document, Store

LARGEST_PAGE = 100
CHUNK = 100
RUN_FIELDS = (
    "job_id",
    "run_page_url",
    "creator_user_name",
    "run_name",
    "run_type",
    "trigger",
    "job_parameters",
)
LIVE_LIMIT = 1_000_000  # characters of a running task's output that are kept


class RunHistory:
    """Reads the documents that `Runs` writes, and keeps the output of running tasks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._live: dict[str, list[str]] = defaultdict(list)

    def add_output(self, task_run_id: str, text: str) -> None:
        """Keep a task's output until it is complete; the oldest part is dropped beyond the limit."""
        with self._lock:
            lines = self._live[task_run_id]
            lines.append(text)
            if len(lines) % 1000 == 0 and sum(map(len, lines)) > LIVE_LIMIT:
                del lines[: len(lines) // 2]

    def get(self, run_id: int) -> Document:
        """A run of a job, or of one task, with the `iterations` of a for-each task."""
        run = self._store.get("run", run_id)
        if run is not None:
            return run
        run, task = self._task(run_id)
        shared = {name: run[name] for name in RUN_FIELDS if name in run}
        iterations = {"iterations": task["iterations"]} if "iterations" in task else {}
        own = {key: value for key, value in task.items() if key != "iterations"}
        return {**shared, **own, "job_run_id": run["run_id"], "tasks": [own], **iterations}

    def output(self, run_id: int) -> Document:
        """A task run's logs, error and trace, and a notebook's result. While it runs, its logs so far.

        The run of a job with one task has that task's output; INVALID_PARAMETER_VALUE if it has several.
        """
        job_run = self._store.get("run", run_id)
        if job_run is not None:
            if len({task["task_key"] for task in job_run["tasks"]}) > 1:
                raise invalid(
                    "run_id: Retrieving the output of runs with multiple tasks is not supported. "
                    "Retrieve the output of each task's run instead."
                )
            if not job_run["tasks"]:
                return {"metadata": job_run}
            run_id = job_run["tasks"][-1]["run_id"]
        output = self._store.get("task_output", run_id)
        if output is None:
            raise _no_run(run_id)
        metadata = self.get(run_id)
        body = {**output, "metadata": metadata}
        if is_active(metadata):
            with self._lock:
                if lines := self._live.get(str(run_id)):
                    body |= {"logs": "".join(lines), "logs_truncated": False}
        else:
            with self._lock:
                self._live.pop(str(run_id), None)
        return body

    def list(
        self,
        *,
        job_id: int | None = None,
        active_only: bool = False,
        completed_only: bool = False,
        expand_tasks: bool = False,
        limit: int = 20,
        offset: int = 0,
        page_token: str | None = None,
        run_type: str | None = None,
        start_time_from: int | None = None,
        start_time_to: int | None = None,
    ) -> Document:
        """A page of runs, the newest first; tasks are left out unless `expand_tasks`. Times are in ms."""
        if active_only and completed_only:
            raise invalid("active_only and completed_only cannot both be true.")
        size = checked_size(limit or 20, LARGEST_PAGE, "limit")
        before = number_in(page_token)  # the token is the last run's id: new runs shift no page

        def wanted(run: Document) -> bool:
            return (
                (not before or run["run_id"] < before)
                and (not active_only or is_active(run))
                and (not completed_only or not is_active(run))
                and (run_type is None or run["run_type"] == run_type)
                and (start_time_from is None or run["start_time"] >= start_time_from)
                and (start_time_to is None or run["start_time"] <= start_time_to)
            )

        page, more = part(reader(filter(wanted, self._newest(job_id))), offset, size)
        body: Document = {"has_more": more}
        if page:
            body["runs"] = [run if expand_tasks else _without_tasks(run) for run in page]
        if more:
            body["next_page_token"] = str(page[-1]["run_id"])
        return body

    def _newest(self, job_id: int | None) -> Iterator[Document]:
        position = 0
        while chunk := self._store.list("run", job_id, newest_first=True, limit=CHUNK, offset=position):
            yield from chunk
            position += len(chunk)

    def _task(self, run_id: int) -> tuple[Document, Document]:
        output = self._store.get("task_output", run_id)
        run = self._store.get("run", output["metadata"]["job_run_id"]) if output else None
        for task in run["tasks"] if run else ():
            for entry in (task, *task.get("iterations", ())):
                if entry["run_id"] == run_id:
                    assert run is not None
                    return run, entry
        raise _no_run(run_id)


def _without_tasks(run: Document) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key != "tasks"}


def _no_run(run_id: int) -> Exception:
    return invalid(f"Run {run_id} does not exist.")

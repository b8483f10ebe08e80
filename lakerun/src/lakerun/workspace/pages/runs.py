"""Jobs and their runs: `/jobs/...`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from lakerun.formats import between, plural
from lakerun.workspace.errors import missing
from lakerun.workspace.pages.overview import job_row, run_row
from lakerun.workspace.pages.render import render
from lakerun.workspace.pages.states import message_of, run_state
from lakerun.workspace.pages.tasks import Task, settings_drawing, task_drawing, tasks_of
from lakerun.workspace.paging import LAST_PAGE, Paging, numbered_page
from lakerun.workspace.services.jobs.run_documents import is_active

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

PER_PAGE = 25


def router(services: Services) -> APIRouter:
    """Pages of jobs and runs. A run has one address; the others redirect to it."""
    routes = APIRouter()
    store = services.store

    @routes.get("/jobs/runs")
    def all_runs(request: Request, page: int = Query(1, ge=1, le=LAST_PAGE)) -> Response:
        rows, paging = _runs(services, None, page)
        follow = 2 if any(not row["over"] for row in rows) else 10
        return render(request, "runs.html", runs=rows, paging=paging, follow=follow)

    @routes.get("/jobs/runs/{run_id}")
    def run_by_id(run_id: int) -> Response:
        return RedirectResponse(_address(services, run_id), 303)

    @routes.get("/jobs/{job_id}")
    @routes.get("/jobs/{job_id}/runs")
    def job(request: Request, job_id: int, page: int = Query(1, ge=1, le=LAST_PAGE)) -> Response:
        if (found := store.get("job", job_id)) is None:
            raise missing("Job", job_id)
        rows, paging = _runs(services, job_id, page)
        settings = found.get("settings", {})
        return render(
            request,
            "job.html",
            job=found,
            row=job_row(services, found),
            settings=settings,
            drawing=settings_drawing(settings),
            runs=rows,
            paging=paging,
            follow=2 if any(not row["over"] for row in rows) else 10,
        )

    @routes.get("/jobs/{job_id}/runs/{run_id}")
    def run(request: Request, job_id: int, run_id: int) -> Response:
        found = store.get("run", run_id)
        if found is None or found.get("job_id") != job_id:
            return RedirectResponse(_address(services, run_id), 303)
        tasks = tasks_of(found, store)
        over = not is_active(found)
        return render(
            request,
            "run.html",
            run=found,
            state=run_state(found),
            message=message_of(found),
            seconds=between(found.get("start_time"), found.get("end_time")),
            name=_job_name(services, found),
            tasks=tasks,
            drawing=task_drawing(found, tasks),
            parameters=_parameters(found),
            progress=_progress(tasks),
            over=over,
            follow=0 if over else 1,
        )

    @routes.get("/jobs/{job_id}/runs/{run_id}/log/{task_run_id}")
    def log(job_id: int, run_id: int, task_run_id: int) -> Response:
        """The whole log of one attempt, as text."""
        found = store.get("run", run_id) or {}
        known = {task["run_id"] for task in found.get("tasks", ())}
        output = store.get("task_output", task_run_id) if task_run_id in known else None
        if output is None:
            raise missing("Output of task run", task_run_id)
        return PlainTextResponse(output.get("logs") or "", headers={"Cache-Control": "no-store"})

    return routes


def _runs(services: Services, job_id: int | None, page: int) -> tuple[list[dict[str, Any]], Paging]:
    newest = partial(services.store.list, "run", job_id, newest_first=True)
    found, paging = numbered_page(newest, page, PER_PAGE)
    return [run_row(run) for run in found], paging


def _address(services: Services, run_id: int) -> str:
    """The address of a run's page, also by the id of a task's run. Raises ApiError for an unknown id."""
    if found := services.store.get("run", run_id):
        return f"/jobs/{found['job_id']}/runs/{run_id}"
    task = (services.store.get("task_output", run_id) or {}).get("metadata", {})
    if services.store.get("run", task.get("job_run_id", 0)):
        return f"/jobs/{task['job_id']}/runs/{task['job_run_id']}#task-{quote(task['task_key'])}"
    raise missing("Run", run_id)


def _job_name(services: Services, run: Mapping[str, Any]) -> str:
    job = services.store.get("job", run.get("job_id", 0)) or {}
    return run.get("run_name") or job.get("settings", {}).get("name") or f"Job {run.get('job_id')}"


def _parameters(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The run's parameters: name, value, and whether this run set it."""
    return [
        {
            "name": each["name"],
            "value": each.get("value", each.get("default", "")),
            "is_set": "value" in each and each["value"] != each.get("default"),
        }
        for each in run.get("job_parameters", ())
    ]


def _progress(tasks: list[Task]) -> str:
    done = sum(task.over for task in tasks)
    failed = [task.key for task in tasks if task.last.state.tone == "bad"]
    text = f"{done} of {plural(len(tasks), 'task')} done"
    return f"{text}, {plural(len(failed), 'failure')}: {', '.join(failed)}" if failed else text

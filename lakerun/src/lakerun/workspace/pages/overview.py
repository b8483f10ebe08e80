"""`/`: jobs, pipelines and the newest runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from lakerun.formats import between
from lakerun.pipelines.results import UPDATE_ENDED
from lakerun.workspace.errors import ApiError
from lakerun.workspace.pages.render import render
from lakerun.workspace.pages.states import run_state, state_of
from lakerun.workspace.services.jobs.quartz import parse_quartz
from lakerun.workspace.services.jobs.run_documents import is_active

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

RECENT = 10


def router(services: Services) -> APIRouter:
    """`/`, and the addresses of lists that are part of it."""
    routes = APIRouter()
    store = services.store

    @routes.get("/")
    def overview(request: Request) -> Response:
        jobs = [job_row(services, job) for job in store.list("job")]
        pipelines = [_pipeline_row(services, pipeline) for pipeline in store.list("pipeline")]
        runs = [run_row(run) for run in store.list("run", newest_first=True, limit=RECENT)]
        active = any(not row["over"] for row in runs) or any(row["active"] for row in pipelines)
        return render(
            request,
            "overview.html",
            jobs=sorted(jobs, key=lambda row: row["name"]),
            pipelines=sorted(pipelines, key=lambda row: row["name"]),
            runs=runs,
            quarantine=services.plugins.quarantine is not None,
            tables=len(services.storage.tables()),
            settings=services.settings,
            # The overview is always refreshed, but less often while nothing runs.
            follow=2 if active else 10,
        )

    @routes.get("/jobs")
    def jobs() -> Response:
        return RedirectResponse("/#jobs", 303)

    @routes.get("/pipelines")
    def pipelines() -> Response:
        return RedirectResponse("/#pipelines", 303)

    return routes


def job_row(services: Services, job: Mapping[str, Any]) -> dict[str, Any]:
    """A job with its schedule in words and its last run."""
    settings = job.get("settings", {})
    last = services.store.list("run", job["job_id"], newest_first=True, limit=1)
    return {
        "id": job["job_id"],
        "name": settings.get("name", f"Job {job['job_id']}"),
        "description": settings.get("description", ""),
        "schedule": schedule_of(settings),
        "next": next_run_of(settings),
        "last": run_row(last[0]) if last else None,
    }


def schedule_of(settings: Mapping[str, Any]) -> str:
    """The schedule or trigger of a job in words; empty without one."""
    if schedule := settings.get("schedule"):
        text = f"{schedule.get('quartz_cron_expression', '')} {schedule.get('timezone_id', '')}".strip()
        paused = schedule.get("pause_status") == "PAUSED"
    elif trigger := settings.get("trigger"):
        every = trigger.get("periodic") or {}
        unit = every.get("unit", "").lower()
        text = f"every {every.get('interval')} {unit}" if every else "on a trigger"
        paused = trigger.get("pause_status") == "PAUSED"
    elif continuous := settings.get("continuous"):
        text, paused = "continuously", continuous.get("pause_status") == "PAUSED"
    else:
        return ""
    return f"{text} (paused)" if paused else text


def next_run_of(settings: Mapping[str, Any]) -> datetime | None:
    """The next time of the job's schedule; None without a schedule, or while it is paused."""
    schedule = settings.get("schedule") or {}
    if not schedule or schedule.get("pause_status") == "PAUSED":
        return None
    try:
        due = parse_quartz(schedule.get("quartz_cron_expression", ""), schedule.get("timezone_id", "UTC"))
    except ApiError:
        return None  # the API should have refused it; the list still shows the job
    return due.next_after(datetime.now(UTC))


def run_row(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run as a row of a list."""
    return {
        "id": run["run_id"],
        "job_id": run.get("job_id"),
        "name": run.get("run_name") or f"Run {run['run_id']}",
        "state": run_state(run),
        "over": not is_active(run),
        "start": run.get("start_time"),
        "seconds": between(run.get("start_time"), run.get("end_time")),
        "trigger": str(run.get("trigger") or "").replace("_", " ").lower(),
        "href": f"/jobs/{run.get('job_id')}/runs/{run['run_id']}",
    }


def _pipeline_row(services: Services, pipeline: Mapping[str, Any]) -> dict[str, Any]:
    spec = pipeline.get("spec", {})
    updates = services.store.list("update", pipeline["pipeline_id"], newest_first=True, limit=1)
    last = updates[0] if updates else None
    return {
        "id": pipeline["pipeline_id"],
        "name": pipeline.get("name") or spec.get("name", ""),
        "target": ".".join(part for part in (spec.get("catalog"), spec.get("schema")) if part),
        "last": last,
        "last_state": state_of(last.get("state")) if last else None,
        "active": last is not None and last.get("state") not in UPDATE_ENDED,
    }

"""Runs of jobs: `/api/2.x/jobs/run-now` and `/api/2.x/jobs/runs/...`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import Count, Whole
from lakerun.workspace.services.jobs.job_requests import CancelRuns, RunId, SubmitRun
from lakerun.workspace.services.jobs.run_requests import RunNow

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

VERSIONS = ("2.0", "2.1", "2.2")


def router(services: Services) -> APIRouter:
    """Start, list, read, cancel and delete runs. These calls are the same in all versions of the API."""
    routes = group()
    runs, history = services.runs, services.run_history

    def run_now(request: RunNow) -> dict[str, Any]:
        return runs.run_now(request)

    def submit(request: SubmitRun) -> dict[str, Any]:
        return runs.submit(request.given())

    def get(
        run_id: Whole, include_history: bool = False, include_resolved_values: bool = False
    ) -> dict[str, Any]:
        return history.get(run_id)

    def list_runs(
        job_id: Whole | None = None,
        active_only: bool = False,
        completed_only: bool = False,
        expand_tasks: bool = False,
        limit: Whole = 20,
        offset: Count = 0,
        page_token: str | None = None,
        run_type: str | None = None,
        start_time_from: Whole | None = None,
        start_time_to: Whole | None = None,
    ) -> dict[str, Any]:
        return history.list(
            job_id=job_id,
            active_only=active_only,
            completed_only=completed_only,
            expand_tasks=expand_tasks,
            limit=limit,
            offset=offset,
            page_token=page_token,
            run_type=run_type,
            start_time_from=start_time_from,
            start_time_to=start_time_to,
        )

    def output(run_id: Whole) -> dict[str, Any]:
        return history.output(run_id)

    def cancel(request: RunId) -> dict[str, Any]:
        runs.cancel(request.run_id)
        return {}

    def cancel_all(request: CancelRuns) -> dict[str, Any]:
        runs.cancel_all(request.job_id, request.all_queued_runs)
        return {}

    def delete(request: RunId) -> dict[str, Any]:
        runs.delete(request.run_id)
        return {}

    for version in VERSIONS:
        jobs = f"/api/{version}/jobs"
        routes.post(f"{jobs}/run-now")(run_now)
        routes.post(f"{jobs}/runs/submit")(submit)
        routes.get(f"{jobs}/runs/get")(get)
        routes.get(f"{jobs}/runs/list")(list_runs)
        routes.get(f"{jobs}/runs/get-output")(output)
        routes.post(f"{jobs}/runs/cancel")(cancel)
        routes.post(f"{jobs}/runs/cancel-all")(cancel_all)
        routes.post(f"{jobs}/runs/delete")(delete)
    return routes
